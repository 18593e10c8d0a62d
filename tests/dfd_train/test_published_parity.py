"""Published detectors give the logits of their authors' networks: both filled by one rule, both shown the same crops.

`published/NAME.json.gz` keeps what the authors' network, at the commit that it names, has of tensors and what it
answered; nothing of their code or weights is here.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from published_rule import crops, filled
from safetensors.torch import save_file

from dfd_train.adopt.card import Card, Output, cards, find_card
from dfd_train.adopt.folder import adopt, load_adopted
from dfd_train.adopt.generic import Wishes, huggingface_card
from dfd_train.cli import main
from dfd_train.data.fitting import fit, normalize

PUBLISHED = Path(__file__).parent / "published"
SMALL_ENCODER = {"width": 128, "layers": 2, "heads": 4, "hidden": 256}
SMALL = {
    "dfdc-b2": ("dfdc-b7", {"model": "tf_efficientnet_b2"}),
    "deepfakebench-clip-small": ("deepfakebench-clip", {**SMALL_ENCODER, "patch": 32}),
    "effort-clip-l14-small": ("effort-clip-l14", {**SMALL_ENCODER, "patch": 32}),
    "gend-clip-l14-small": ("gend-clip-l14", {**SMALL_ENCODER, "patch": 32}),
    "gend-dinov3-l-small": ("gend-dinov3-l", SMALL_ENCODER),
    "gend-pe-l-small": ("gend-pe-l", {"model": "vit_pe_core_tiny_patch16_384"}),
}
"""The authors' class with a smaller encoder, by which card, with which arguments."""
QUICK = (
    "community-forensics-384",
    "sbi-efficientnet-b4",
    "deepfakebench-xception",
    "deepfakebench-efficientnet-b4",
)
LONG = ("dfdc-b7", "deepfakebench-clip", "effort-clip-l14", "gend-clip-l14", "gend-dinov3-l", "gend-pe-l")


def check(name: str, card: Card, tmp_path: Path) -> None:
    with gzip.open(PUBLISHED / f"{name}.json.gz") as file:
        known = json.load(file)
    save_file(filled(known["shapes"], known["gain"]), tmp_path / "authors.safetensors")
    adopt(card, tmp_path / "authors.safetensors", tmp_path / "detector")
    detector = load_adopted(tmp_path / "detector").detector
    images = [normalize(fit(crop, detector.spec), detector.spec)[None] for crop in crops()]
    with torch.inference_mode():
        logits = np.array([detector.network(image).item() for image in images])
    outputs = np.array(known["outputs"])
    expected = outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
    assert np.ptp(expected) > 0.002, "the crops must not all look the same to the network"
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_give_their_authors_logits(name: str, tmp_path: Path) -> None:
    card, arguments = SMALL[name]
    _need_transformers(find_card(card))
    check(name, replace(find_card(card), arguments={**find_card(card).arguments, **arguments}), tmp_path)


def test_community_forensics_other_size_gives_its_authors_logits(tmp_path: Path) -> None:
    card = find_card("community-forensics-384")
    card = replace(
        card,
        arguments={"model": "vit_tiny_patch16_224"},
        input=replace(card.input, size=224, shorter=256),
    )
    check("community-forensics-384-small", card, tmp_path)


@pytest.mark.parametrize("name", QUICK)
def test_networks_give_their_authors_logits(name: str, tmp_path: Path) -> None:
    check(name, find_card(name), tmp_path)


@pytest.mark.full
@pytest.mark.parametrize("name", LONG)
def test_large_networks_give_their_authors_logits(name: str, tmp_path: Path) -> None:
    _need_transformers(find_card(name))
    check(name, find_card(name), tmp_path)


def test_every_card_has_a_parity_test() -> None:
    tested = {*QUICK, *LONG}
    assert {card.name for card in cards() if card.builder != "reseption"} == tested
    assert {card for card, _ in SMALL.values()} == set(LONG)


def test_two_outputs_are_one_logit_by_their_softmax() -> None:
    from dfd_train.adopt.folder import FakeLogit

    outputs = torch.tensor([[0.3, -1.2, 2.0], [4.0, 0.0, 1.0]])
    card = replace(find_card("deepfakebench-xception"), output=Output("softmax", (0, 2), 3))
    logit = FakeLogit(torch.nn.Identity(), card)(outputs)
    torch.testing.assert_close(logit.sigmoid()[:, 0], outputs.softmax(1)[:, [0, 2]].sum(1))


def _need_transformers(card: Card) -> None:
    if card.builder in ("clip", "dinov3"):
        pytest.importorskip("transformers")


@pytest.mark.parametrize("kind", ["vit", "swin", "siglip", "deit", "clip"])
def test_any_classifier_of_transformers_gives_its_own_logits(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with gzip.open(PUBLISHED / f"huggingface-{kind}.json.gz") as file:
        known = json.load(file)
    save_file(filled(known["shapes"]), tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps(known["config"]))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(known["preprocessor"]))
    card = huggingface_card(tmp_path, Wishes("one"))
    assert card.output.fake == (1,)
    check(f"huggingface-{kind}", card, tmp_path)


def test_a_model_of_the_hubs_cache_is_adopted_by_its_name(tmp_path: Path, monkeypatch, capsys) -> None:
    """With no network: the cache as the hub's client keeps it."""
    pytest.importorskip("transformers")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with gzip.open(PUBLISHED / "huggingface-vit.json.gz") as file:
        known = json.load(file)
    kept, commit = tmp_path / "hub/models--someone--fakes", "0123456789abcdef0123456789abcdef01234567"
    snapshot = kept / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (kept / "refs").mkdir()
    (kept / "refs/main").write_text(commit)
    save_file(filled(known["shapes"]), snapshot / "model.safetensors")
    (snapshot / "config.json").write_text(json.dumps({**known["config"], "_name_or_path": "base/vit"}))
    (snapshot / "preprocessor_config.json").write_text(json.dumps(known["preprocessor"]))
    (snapshot / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    assert main(["adopt", "hf:someone/fakes", "-o", str(tmp_path / "detector")]) == 0
    card = load_adopted(tmp_path / "detector").card
    assert card.title.startswith("someone/fakes (vit") and card.source == "someone/fakes at 0123456"
    assert card.licence == "apache-2.0"
    capsys.readouterr()
    assert main(["adopt", "hf:nobody/fakes", "-o", str(tmp_path / "other")]) == 2
    said = capsys.readouterr().err.strip()
    assert "hf:nobody/fakes cannot be fetched" in said and "--weights FOLDER" in said and "\n" not in said


def test_dinov3_files_of_before_transformers_5_fit_too(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    with gzip.open(PUBLISHED / "gend-dinov3-l-small.json.gz") as file:
        known = json.load(file)
    card = find_card("gend-dinov3-l")
    card = replace(card, arguments={**card.arguments, **SMALL_ENCODER})
    state = filled(known["shapes"])
    old = {name.replace("backbone.model.layer.", "backbone.layer."): value for name, value in state.items()}
    assert old.keys() != state.keys()
    save_file(state, tmp_path / "new.safetensors")
    save_file(old, tmp_path / "old.safetensors")
    new, before = (
        adopt(card, tmp_path / f"{name}.safetensors", tmp_path / name).detector for name in ("new", "old")
    )
    image = torch.ones(1, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(new.network(image), before.network(image))
