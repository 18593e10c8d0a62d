"""Adopted detectors: every command takes one, says its licence, and feeds it the crops that its card asks for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import prediction
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from thesis_program import ThesisNetwork
from transformers import ViTConfig, ViTForImageClassification, ViTImageProcessor

from dfd_train.adopt.card import Keys, cards, find_card
from dfd_train.adopt.folder import adopt, load_adopted
from dfd_train.adopt.labels import fake_outputs
from dfd_train.cli import main
from dfd_train.data.fitting import fit, normalize
from dfd_train.data.official import officially_tested
from dfd_train.errors import UserError
from dfd_train.predict.ensemble import read_together
from dfd_train.predict.loading import load_scorer
from dfd_train.report.compare import _not_evaluated
from dfd_train.report.run import read_run
from ffpp_prep.format.joined import open_sets
from ffpp_prep.format.prepared import load_prepared
from reseption_models import ModelCard, create_model, save_pretrained


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of timm's with two outputs, as torch saves it."""
    path = tmp_path_factory.mktemp("weights") / "network.pt"
    network = timm.create_model("test_resnet", num_classes=2)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    torch.save(
        {"state_dict": {f"module.{name}": value for name, value in network.state_dict().items()}}, path
    )
    return path


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    out = tmp_path_factory.mktemp("detectors") / "mine"
    assert main(["adopt", "timm:test_resnet", "--weights", str(weights), "-o", str(out), "--fake", "0"]) == 0
    return out


@pytest.fixture(scope="module")
def aligned(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """The same weights under a card with another input and aligned crops, not for commercial use, taught by ffpp."""
    folder = tmp_path_factory.mktemp("aligned")
    card = find_card("deepfakebench-xception")
    card = replace(
        card,
        name="other",
        arguments={"model": "test_resnet"},
        keys=type(card.keys)(),
        input=replace(card.input, size=64),
        video=replace(card.video, frames=3),
    )
    (folder / "card.toml").write_text(card.to_toml())
    command = ["adopt", str(folder / "card.toml"), "--weights", str(weights), "-o", str(folder / "other")]
    assert main(command) == 2, "it is not for commercial use"
    assert main([*command, "--accept-licence"]) == 0
    return folder / "other"


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory, small_set_writer) -> Path:
    return small_set_writer(tmp_path_factory.mktemp("set") / "work").work


@pytest.fixture(scope="module")
def real_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips of a talking head, called real and fake, with boxes of four frames each."""
    from ffpp_prep.cli import main as prepare

    folder = tmp_path_factory.mktemp("footage")
    for name, start in (("real", 0), ("fake", 4)):
        (folder / "clips" / name).mkdir(parents=True)
        prediction.encode(folder / "clips" / name / "a.mp4", prediction.faces(8)[start : start + 4], crf=18)
    assert prepare(["scan", str(folder / "clips"), "-o", str(folder / "work")]) == 0
    assert prepare(["boxes", str(folder / "work"), "--jobs", "1"]) == 0
    return folder / "work"


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "face.png"
    Image.fromarray(prediction.faces(1)[0]).save(path)
    return path


def divided(work: Path, *rules: str) -> None:
    """Has `scan` say in words how it divided a set's videos, as it did before it marked them."""
    table = pq.read_table(work / "videos.parquet")
    metadata = {**table.schema.metadata, b"split_rules": json.dumps(rules).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), work / "videos.parquet")


def result(out: Path, name: str) -> dict:
    return json.loads((out / name / "result.json").read_text())


def test_predict_gives_a_score_and_no_verdict_with_its_licence(detector, photograph, tmp_path) -> None:
    assert main(["predict", str(detector), str(photograph), "--out", str(tmp_path), "--device", "cpu"]) == 0
    found = result(tmp_path, "face.png")
    assert found["status"] == "scored" and found["verdict"] is None
    assert any("Licence:" in sentence for sentence in found["meaning"])
    said = " ".join(found["meaning"])
    assert "weights of unknown origin, not trained here. Licence: timm's for the network" in said
    assert "published" not in said and "yours" not in said, (
        "a reader of the page has published and owns nothing"
    )
    assert "times a second" not in (tmp_path / "face.png/report.html").read_text(), "of a single picture"
    assert "Licence:" in (tmp_path / "face.png/report.html").read_text()


def test_detectors_with_other_inputs_and_crops_each_see_their_own(
    detector, aligned, photograph, tmp_path
) -> None:
    command = [str(photograph), "--device", "cpu", "--out"]
    for name, models in (("a", [detector]), ("b", [aligned]), ("ab", [detector, "--with", aligned])):
        assert main(["predict", str(models[0]), *command, str(tmp_path / name), *map(str, models[1:])]) == 0
    logit = {
        name: np.log(prob / (1 - prob))
        for name in ("a", "b", "ab")
        for prob in [result(tmp_path / name, "face.png")["prob"]]
    }
    assert logit["ab"] == pytest.approx((logit["a"] + logit["b"]) / 2, abs=1e-5)
    assert abs(logit["a"] + logit["b"]) > 1e-3, "one has fake first, the other last, on crops that differ"


def test_evaluate_calibrate_compare_and_robustness_take_it(detector, aligned, work, tmp_path, capsys) -> None:
    run = prediction.train(work, tmp_path / "run")
    detector = shutil.copytree(
        detector, tmp_path / "detector"
    )  # which is calibrated here, not for other tests
    assert main(["evaluate", str(run), "--device", "cpu", "--workers", "0"]) == 0
    assert main(["evaluate", str(detector), "--device", "cpu"]) == 2
    assert "--data WORK" in capsys.readouterr().err
    data = ["--data", str(work), "--device", "cpu", "--workers", "0"]
    assert main(["evaluate", str(detector), *data]) == 0
    assert "Licence:" in capsys.readouterr().out
    assert main(["calibrate", str(detector), *data]) == 0
    assert "temperature" in capsys.readouterr().out
    assert load_scorer(detector, "cpu").facts.threshold is not None
    assert main(["compare", str(run), str(detector), "--out", str(tmp_path / "compared")]) == 0
    page = (tmp_path / "compared/compare.html").read_text()
    assert "published" not in page and "Licence:" in page, "nobody is known to have published it"
    assert "weights of unknown origin, trained on data not known here" in page
    assert main(["robustness", str(detector), *data, "--only", "jpeg", "--out", str(tmp_path / "rob")]) == 0
    assert "Licence:" in (tmp_path / "rob/robustness.html").read_text()
    assert _not_evaluated(read_run(aligned)).endswith(f" {aligned} --split test --data WORK")
    assert main(["evaluate", str(aligned), *data]) == 2, "its crops need the videos, which are not there"
    assert "the videos are not there" in capsys.readouterr().err


def test_frames_are_pooled_as_its_authors_do(detector, weights, work, photograph, tmp_path, capsys) -> None:
    """As DFDC's winner: in tables, in the score that is deployed, in an export, and where two of a kind are joined."""
    card = replace(
        load_adopted(detector).card,
        name="sure",
        video=find_card("dfdc-b7").video,
        trained_on=("DFDC",),
    )
    sure = tmp_path / "sure"
    adopt(card, weights, sure)
    mean, confident = load_scorer(detector, "cpu"), load_scorer(sure, "cpu")
    assert mean.facts.score.over == "all frames" and confident.facts.score.over == "sure frames"
    assert read_together([confident, confident]).score.over == "sure frames"
    assert read_together([confident, mean]).score.over == "all frames"
    logit = np.array([3.0] * 12 + [-3.0] * 12)
    assert confident.facts.score.value(logit) == pytest.approx(3.0)
    data = ["--data", str(work), "--device", "cpu", "--workers", "0"]
    for flags, said in (
        ([], "of those alone)"),
        (["--aggregation", "mean"], "the mean of its frames' scores (sigm"),
    ):
        assert main(["evaluate", str(sure), *data, *flags]) == 0
        assert said in capsys.readouterr().out
    assert read_run(sure).predictions[0].measures.aggregation == "confident"
    assert main(["calibrate", str(sure), *data]) == 0
    assert "over sure frames" in capsys.readouterr().out
    assert load_scorer(sure, "cpu").facts.calibration.score.over == "sure frames"
    assert main(["export", str(sure), "--data", str(work), "--out", str(tmp_path / "sure.onnx")]) == 0
    exported = load_scorer(tmp_path / "sure.onnx").facts
    assert (exported.score.over, exported.plain.over) == ("sure frames", "sure frames")
    assert main(["predict", str(sure), str(photograph), "--out", str(tmp_path / "p"), "--device", "cpu"]) == 0
    assert any("of those alone" in sentence for sentence in result(tmp_path / "p", "face.png")["meaning"])


def test_the_thesiss_own_checkpoints_stand_in_its_tables(work, tmp_path, caplog) -> None:
    theirs, v1 = ThesisNetwork(1).eval(), tmp_path / "v1"
    torch.save({"model_state_dict": theirs.state_dict()}, tmp_path / "v1.pth")
    assert main(["adopt", "thesis-reseption-v1", "--weights", str(tmp_path / "v1.pth"), "-o", str(v1)]) == 0
    data = ["--data", str(work)]
    assert main(["compare", str(v1), "--reference", "thesis", "--out", str(tmp_path / "before")]) == 0
    assert main(["evaluate", str(v1), *data, "--device", "cpu", "--workers", "0", "--frames", "1"]) == 0
    assert main(["compare", str(v1), "--reference", "thesis", "--out", str(tmp_path / "compared")]) == 0
    assert "no prepared data set" not in caplog.text, "none is made up for it"
    tables = tmp_path / "compared/tables"
    of_table = (tables / "table-7.6.csv").read_text().splitlines()
    place = of_table[0].split(",").index("v1 accuracy ours")
    assert all(row.split(",")[place] for row in of_table if row.startswith(("Deepfakes", "Overall")))
    assert "FaceForensics++ (as Table 7.6 says)" in (tables / "matrix-video-auc.csv").read_text()
    assert main(["export", str(v1), *data, "--out", str(tmp_path / "weights")]) == 0
    adopted, exported = load_scorer(v1, "cpu"), load_scorer(tmp_path / "weights", "cpu")
    crop = prediction.faces(1)[0][50:190, 100:230]
    image = normalize(fit(crop, adopted.facts.spec), adopted.facts.spec)[None]
    with torch.inference_mode():
        logit = -theirs(image.flip(1)).item()  # of BGR, 1 = real
    assert adopted.logits([crop]) == pytest.approx([logit], abs=1e-4)
    assert exported.logits([crop]) == pytest.approx([logit], abs=1e-4)
    assert any("Licence:" in remark for remark in exported.facts.remarks)


def test_a_slow_detector_says_its_time_beforehand(
    detector, photograph, tmp_path, caplog, monkeypatch
) -> None:
    monkeypatch.setattr("dfd_train.predict.scorer.SLOW", 0.0)
    with caplog.at_level("INFO"):
        assert (
            main(["predict", str(detector), str(photograph), "--out", str(tmp_path), "--device", "cpu"]) == 0
        )
    assert "s a face and frame on this cpu" in caplog.text


def test_crops_are_cut_from_the_video_by_the_cards_rule(aligned, real_set, tmp_path, capsys) -> None:
    """Real footage: the mesh finds the five points, and the crop that is scored is 256 pixels a side."""
    from dfd_train.runs.checkpoint import load_model

    seen = load_model(aligned).crops_of(load_prepared(real_set))
    assert seen.read_crop_at(0, 0).shape == (256, 256, 3)
    assert main(["evaluate", str(aligned), "--data", str(real_set), "--split", "all", "--device", "cpu"]) == 0
    assert "Licence:" in capsys.readouterr().out
    command = ["export", str(aligned), "--data", str(real_set)]  # which has no splits
    assert main([*command, "--out", str(tmp_path / "aligned.onnx")]) == 0
    assert load_scorer(tmp_path / "aligned.onnx").facts.geometry == load_scorer(aligned, "cpu").facts.geometry


def test_testing_on_what_taught_it_is_flagged(detector, work, capsys, tmp_path) -> None:
    """A data set's own test split is new to a detector of it; not so one of another list than its authors'."""
    drawn = shutil.copytree(work, tmp_path / "drawn")
    divided(drawn, "FaceForensics++ splits: lists in mine, not the official ones; 0 of 21 videos unused")
    taught = tmp_path / "taught"
    shutil.copytree(detector, taught)
    text = (
        (taught / "detector.toml").read_text().replace('name = "mine"', 'name = "mine"\nknown_as = ["ffpp"]')
    )
    (taught / "detector.toml").write_text(text)
    command = ["evaluate", str(taught), "--device", "cpu", "--workers", "0", "--frames", "1", "--data"]
    for arguments, said, unsaid in (
        (
            [str(work)],
            "6 of these videos are of ffpp, of its official test split. It was trained on the",
            "TRAINED",
        ),
        ([str(work), "--split", "val"], "6 of these videos are of ffpp, on which it was TRAINED", "in-set"),
        (
            [str(work), "--split", "all"],
            "15 of these videos are of ffpp, on which it was TRAINED",
            "21 of these videos",
        ),
        ([str(drawn)], "6 of these videos are of ffpp, on which it was TRAINED", "in-set"),
    ):
        assert main([*command, *arguments]) == 0
        out = capsys.readouterr().out
        assert said in out and unsaid not in out, out


def test_which_test_videos_are_their_authors_own(small_set_writer, tmp_path) -> None:
    def edit(table):
        return table.assign(dataset=["ffpp", "dfdc", "dfd", "celebdf", "mine"] * 4 + ["ffpp"], split="test")

    work = small_set_writer(tmp_path / "work", edit=edit).work
    for rules, official in (
        ((), {"ffpp", "dfdc", "dfd", "celebdf", "mine"}),
        (
            (
                "FaceForensics++ splits: fetched, the official ones; 0 of 9 videos unused",
                "DeepFakeDetection splits: actor-disjoint; 0 of 9 videos unused",
                "DFDC splits: whole parts held out, 1 for val and 2 for test",
                "Celeb-DF splits: official test list, the rest person-disjoint between train and val; none unused",
            ),
            {"ffpp", "celebdf", "mine"},
        ),
        (
            ("Celeb-DF splits: person-disjoint, no official test list; 0 unused",),
            {"ffpp", "dfdc", "dfd", "mine"},
        ),
    ):
        divided(work, *rules)
        prepared = load_prepared(work)
        videos = prepared.videos[3:]
        found = officially_tested(prepared, videos)
        assert set(videos["dataset"][found]) == official and found.index.equals(videos.index)
        assert not officially_tested(prepared, videos.assign(split="val")).any()


def test_dfdc_s_own_test_set_is_its_authors_beside_parts_that_scan_divided(
    small_set_writer, work, tmp_path
) -> None:
    marked = small_set_writer(
        tmp_path / "dfdc", edit=lambda table: table.assign(dataset="dfdc", split="test")
    ).work
    divided(marked, "DFDC splits: whole parts held out, 1 for val and 2 for test")
    table = pq.read_table(marked / "videos.parquet")
    by = pa.array(["scan"] * 12 + [None] * 9, pa.string())
    pq.write_table(table.append_column("split_by", by), marked / "videos.parquet")
    prepared = open_sets([work, marked])
    own = len(prepared.parts[0][0].videos)
    found = officially_tested(prepared, prepared.videos[own:])
    assert found.tolist() == [False] * 12 + [True] * 9


def test_an_export_scores_as_the_detector(detector, work, photograph, tmp_path) -> None:
    assert main(["export", str(detector), "--data", str(work), "--out", str(tmp_path / "it.onnx")]) == 0
    a, b = load_scorer(detector, "cpu"), load_scorer(tmp_path / "it.onnx")
    assert (a.facts.spec, a.facts.geometry) == (b.facts.spec, b.facts.geometry)
    assert any("Licence:" in remark for remark in b.facts.remarks)
    crop = prediction.faces(1)[0][50:190, 100:230]
    assert a.logits([crop]) == pytest.approx(b.logits([crop]), abs=1e-4)


def test_explain_takes_it(detector, photograph, tmp_path) -> None:
    command = ["explain", str(detector), "--image", str(photograph), "--method", "gradcam", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path)]) == 0
    assert "Licence:" in (tmp_path / "explain.html").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("fc.weight"), "1 missing (fc.weight)"),
        (
            lambda state: state.update({f"x{i}": torch.zeros(1) for i in range(5)}),
            "5 unknown (x0, x1, x2, …)",
        ),
        (lambda state: state.update({"fc.bias": torch.zeros(3)}), "of another shape (fc.bias (3,) for (2,))"),
        (lambda state: state["fc.bias"].fill_(float("nan")), "fc.bias has numbers that aren't finite"),
    ],
)
def test_weights_that_do_not_fit_are_counted_and_named(detector, tmp_path, change, said) -> None:
    state = load_file(detector / "model.safetensors")
    change(state)
    save_file(state, tmp_path / "w.safetensors")
    card = load_adopted(detector).card
    with pytest.raises(ValueError) as error:  # that of one of the packages
        adopt(card, tmp_path / "w.safetensors", tmp_path / "out")
    assert said in str(error.value) and "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_names_of_a_module_around_a_network_of_timms_are_understood(weights, tmp_path) -> None:
    """As Lightning saves it."""
    state = torch.load(weights, weights_only=True)["state_dict"]
    inner = {name.replace("module.", "model.net."): value for name, value in state.items()}
    torch.save({"state_dict": inner, "epoch": 3}, tmp_path / "last.ckpt")
    out = ["-o", str(tmp_path / "out"), "--fake", "1"]
    assert main(["adopt", "timm:test_resnet", "--weights", str(tmp_path / "last.ckpt"), *out]) == 0
    assert load_adopted(tmp_path / "out").card.keys.rename == ((r"^model\.net\.", ""),)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_best_loss_of_numpy_beside_the_weights_is_no_code(weights, tmp_path, zipped) -> None:
    """As DFDC's winner saved them, in the format of before zip: with epoch and the best loss."""
    state = torch.load(weights, weights_only=True)["state_dict"]
    content = {"epoch": 3, "state_dict": state, "bce_best": np.float64(0.25)}
    torch.save(content, tmp_path / "network", _use_new_zipfile_serialization=zipped)
    out = ["-o", str(tmp_path / "out"), "--fake", "1"]
    assert main(["adopt", "timm:test_resnet", "--weights", str(tmp_path / "network"), *out]) == 0
    torch.save({**content, "bce_best": np.array([print], object)}, tmp_path / "code")
    assert main(["adopt", "timm:test_resnet", "--weights", str(tmp_path / "code"), *out]) == 2


def test_the_list_says_where_to_begin_and_where_the_authors_are(capsys) -> None:
    assert main(["adopt", "--list"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("Start with gend-clip-l14: its licence is MIT.")
    assert find_card("gend-clip-l14").licence == "MIT"
    assert "  its authors' code: https://github.com/yermandy/GenD (at e03532d)" in lines
    compared = [line for line in lines if line.startswith("  compared here: ")]
    assert len(compared) == len(cards()) and "logits of the authors' network on the same crops" in compared[2]


def test_what_is_no_model_is_one_line(weights, tmp_path, capsys) -> None:
    (tmp_path / "lfs").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    (tmp_path / "page.safetensors").write_text("<!doctype html><p>sign in")
    (tmp_path / "folder").mkdir()
    torch.save(timm.create_model("test_resnet"), tmp_path / "whole.pt")
    card = (find_card("community-forensics-384").to_toml()).replace('builder = "timm"', 'builder = "timmm"')
    (tmp_path / "builder.toml").write_text(card)
    (tmp_path / "field.toml").write_text(card.replace("licence", "license"))
    right = find_card("community-forensics-384")
    (tmp_path / "group.toml").write_text(
        replace(right, arguments={"model": "test_resnet"}, keys=Keys((("^fc", r"\3"),))).to_toml()
    )
    (tmp_path / "pool.toml").write_text(right.to_toml().replace('pool = "mean"', 'pool = "sure"'))
    figure = '[[published]]\non = "DFDC"\nauc = 0.5\nlevel = "video"\nsource = "none"\nyear = 3\n'
    (tmp_path / "figure.toml").write_text(right.to_toml() + figure)
    out = ["-o", str(tmp_path / "out")]
    for arguments, said in (
        (["gend-clip", "--weights", str(weights)], "did you mean gend-clip-l14?"),
        (["community-forensics-384", "--weights", str(tmp_path / "lfs")], "Git LFS pointer"),
        (["community-forensics-384", "--weights", str(tmp_path / "page.safetensors")], "a web page"),
        (["community-forensics-384", "--weights", str(tmp_path / "folder")], "no model's folder"),
        (["community-forensics-384", "--weights", str(tmp_path / "none")], "no such file or folder"),
        (
            ["gend-clip-l14", "--weights", str(tmp_path / "none")],
            "code, https://github.com/yermandy/GenD (at e03532d), says where they are",
        ),
        (
            ["community-forensics-384", "--weights", str(tmp_path / "whole.pt")],
            "save model.state_dict() instead",
        ),
        ([str(tmp_path / "builder.toml"), "--weights", str(weights)], "did you mean timm?"),
        (
            [str(tmp_path / "field.toml"), "--weights", str(weights)],
            "unknown field license; did you mean licence?",
        ),
        ([str(tmp_path / "group.toml"), "--weights", str(weights)], "can't replace '^fc': invalid group"),
        (
            [str(tmp_path / "pool.toml"), "--weights", str(weights)],
            "video.pool: Invalid enum value 'sure'; allowed: 'mean', 'median', 'confident'",
        ),
        ([str(tmp_path / "figure.toml"), "--weights", str(weights)], "unknown field published.year"),
        (["timm:test_resnett", "--weights", str(weights)], "timm has no model"),
        (["timm:test_resnet", "--weights", str(weights)], "--fake LABEL"),
        (["huggingface", "--weights", str(tmp_path / "folder")], "no Hugging Face model"),
        (["dfdc-b7"], "dfd-train adopt --list shows the address of their code"),
    ):
        assert main(["adopt", *arguments, *out]) == 2, arguments
        error = capsys.readouterr().err.strip()
        assert said in error and "\n" not in error, error


@pytest.mark.parametrize(
    ("labels", "fake"),
    [
        (("Fake", "Real"), (0,)),
        (("Realism", "Deepfake"), (1,)),
        (("AI", "human"), (0,)),
        (("real", "ai-generated", "deepfake"), (1, 2)),
        (("AiArtData", "RealArt"), (0,)),
        (("LABEL_0", "LABEL_1"), None),
        (("fake", "not fake"), None),
        (("Real", "other"), None),
    ],
)
def test_which_label_is_fake_is_read_or_asked(labels, fake) -> None:
    if fake is None:
        with pytest.raises(UserError, match="--fake LABEL"):
            fake_outputs(labels, ())
        assert fake_outputs(labels, (labels[1],)) == (1,)
    else:
        assert fake_outputs(labels, ()) == fake


def test_a_classifier_without_names_of_labels_is_asked_for(tmp_path, capsys) -> None:
    """transformers writes no id2label where there are two labels with its own names."""
    config = ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, image_size=32
    )
    folder = tmp_path / "model"
    ViTForImageClassification(config).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    assert "id2label" not in (folder / "config.json").read_text()
    command = ["adopt", "huggingface", "--weights", str(folder), "-o", str(tmp_path / "out")]
    assert main(command) == 2
    assert "don't say which mean fake (LABEL_0, LABEL_1): --fake LABEL" in capsys.readouterr().err
    assert main([*command, "--fake", "LABEL_1"]) == 0
    assert load_adopted(tmp_path / "out").card.output.fake == (1,)


@pytest.mark.parametrize(
    "labels", [("real", "fake"), ("fake", "real"), ("real", "swapped fake", "reenacted fake")]
)
def test_what_a_script_saved_is_adopted_and_calibrated(labels, work, tmp_path, capsys) -> None:
    torch.manual_seed(0)
    network = create_model(
        "reseption_v1", input_size=75, width_multiplier=0.125, num_classes=1 if len(labels) == 2 else 3
    )
    mine, out = tmp_path / "mine", tmp_path / "detector"
    card = ModelCard(mean=(0.4,) * 3, labels=labels, training_data="my clips", licence="MIT")
    save_pretrained(network.eval(), mine, card)
    assert main(["calibrate", str(mine), "--data", str(work)]) == 2
    hint = f"first: dfd-train adopt reseption --weights {mine} --out DETECTOR"
    assert hint in capsys.readouterr().err
    assert main(["adopt", "reseption", "--weights", str(mine), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "mine (reseption_v1 of reseption-models)" in said and "It was trained on my clips." in said
    adopted = load_adopted(out)
    assert (adopted.card.input.size, adopted.card.input.mean) == (75, (0.4,) * 3)
    pictures = torch.rand(2, 3, 75, 75)
    with torch.inference_mode():
        logits, found = network(pictures), adopted.detector.network(pictures)
    expected = {
        ("real", "fake"): lambda z: z,
        ("fake", "real"): lambda z: -z,
        ("real", "swapped fake", "reenacted fake"): lambda z: z[:, 1:].logsumexp(1, True) - z[:, :1],
    }[labels](logits)
    assert torch.allclose(found, expected, atol=1e-5)
    assert main(["calibrate", str(out), "--data", str(work), "--split", "all", "--workers", "0"]) == 0


def test_cards_survive_toml(tmp_path) -> None:
    from dfd_train.adopt.card import read_card

    for card in cards():
        (tmp_path / "card.toml").write_text(card.to_toml())
        assert read_card(tmp_path / "card.toml") == card
