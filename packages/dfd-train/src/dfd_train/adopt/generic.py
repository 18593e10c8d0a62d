"""Cards made on the spot: of any picture classifier of Hugging Face, any of timm's networks, and what
`reseption_models.save_pretrained` wrote.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dfd_train.adopt.builders.timm_networks import create
from dfd_train.adopt.card import Card, Keys, Output
from dfd_train.adopt.labels import fake_outputs
from dfd_train.adopt.processors import RESAMPLE, enlarged, input_of_processor, three
from dfd_train.adopt.states import AuthorsWeights
from dfd_train.data.spec import LARGEST_INPUT, CropRule, InputSpec
from dfd_train.errors import UserError, first_line
from dfd_train.models.bounds import LARGEST
from ffpp_prep.options import shown
from ffpp_prep.text.printable import printable

MOST_BYTES = 4_000_000
"""of config.json, which has a line for each label"""
_WHOLE = "Many such classifiers were trained on whole pictures; here it sees {what}."


@dataclass(frozen=True)
class Wishes:
    """What a person says of a detector that comes without a card."""

    name: str
    fake: tuple[str, ...] = ()
    """labels or numbers of the outputs that mean fake; empty: read from the labels' words"""
    whole_picture: bool = False
    """it is shown the frame, not the face"""
    fetched_as: str = ""
    """OWNER/NAME at Hugging Face; empty for a folder"""

    @property
    def crop(self) -> CropRule:
        """Which crop the network is shown."""
        return CropRule(rule="frame") if self.whole_picture else CropRule()

    @property
    def remark(self) -> str:
        """Says in words what the network is shown."""
        what = (
            "whole pictures" if self.whole_picture else "faces, each side 30 % larger than the finder's box"
        )
        return _WHOLE.format(what=what)


def huggingface_card(folder: Path, wishes: Wishes) -> Card:
    """Returns the card of a model's folder: config.json, preprocessor_config.json, README.md's licence.

    Raises: FileNotFoundError, UserError where it is none, where its labels don't say which is fake, or where its
    pictures aren't made in a way that is known here.
    """
    config = _json(folder / "config.json")
    if "architecture" in config:
        return _timm_folder_card(folder, config, wishes)
    if "model_type" not in config:
        known = " (Community Forensics' file: the card is community-forensics-384)" * ("patch_size" in config)
        raise UserError(
            f"{folder / 'config.json'} has no model_type{known}; allowed: a transformers or timm model"
        )
    labels = _labels(config, folder)
    processor = folder / "preprocessor_config.json"
    # config.json's own _name_or_path names the network that training began with
    called = wishes.fetched_as or printable(folder.resolve().name)
    return Card(
        name=wishes.name,
        title=f"{called} ({config['model_type']})"[:120],
        builder="huggingface",
        licence=_licence(folder),
        citation="its page at Hugging Face",
        source=f"{called} at {folder.name[:7]}" if wishes.fetched_as else called,
        trained_on=(),
        input=input_of_processor(_json(processor), config, processor),
        crop=wishes.crop,
        parity="logits of transformers' own classifiers and processors on the same crops",
        remarks=(wishes.remark,),
        arguments={"config": json.dumps(config)},
        output=Output("softmax", fake_outputs(labels, wishes.fake), len(labels)),
    )


def timm_card(model: str, weights: AuthorsWeights, wishes: Wishes) -> Card:
    """Returns the card of timm's network of that name, its outputs counted in the weights. Raises: UserError."""
    own = create(model).pretrained_cfg
    names = own.get("classifier") or ""
    first = names if isinstance(names, str) else names[0]
    found = [name for name in weights.state if f".{name}".endswith(f".{first}.bias")]
    name = min(found, key=len, default="")  # the outermost: parts inside may be called alike
    bias = weights.state.get(name)
    if not first or bias is None or bias.ndim != 1:
        raise UserError(
            f"{weights.path} has no {first or 'classifier'}.bias: how many outputs does it have? Write a card"
        )
    return _timm(
        model,
        own,
        [f"{index}" for index in range(len(bias))],
        wishes,
        "timm's for the network, unknown for the weights",
        name.removesuffix(f"{first}.bias"),
    )


def reseption_card(folder: Path, wishes: Wishes) -> Card:
    """Returns the card of a folder that `reseption_models.save_pretrained` wrote, of a person's own script say.

    Raises: FileNotFoundError, UserError where it is none, sees no RGB, or where its labels don't say which is fake.
    """
    from reseption_models import ModelCard, from_pretrained
    from reseption_models.config_file import read_settings

    network: Any = from_pretrained(folder)
    settings, own, outputs = read_settings(folder / "config.json"), network.card, network.num_classes
    if own.color != "RGB":
        raise UserError(f"{folder}: the network takes {own.color}; allowed: RGB")
    fake = fake_outputs(own.labels or [f"{label}" for label in range(max(outputs, 2))], wishes.fake)
    taught_by = printable(own.training_data)
    return Card(
        name=wishes.name,
        title=f"{printable(folder.resolve().name)} ({settings['architecture']} of reseption-models)"[:120],
        builder="reseption-saved",
        licence=printable(own.licence),
        source="the script that saved it",
        trained_on=(taught_by,) if taught_by != ModelCard().training_data else (),
        input=InputSpec(network.config.input_size, tuple(own.mean), tuple(own.std)),
        crop=wishes.crop,
        arguments={"config": json.dumps({name: settings[name] for name in ("architecture", "config")})},
        output=Output("logit", fake, 1) if outputs == 1 else Output("softmax", fake, outputs),
    )


def _labels(config: Mapping[str, Any], folder: Path) -> list[str]:
    table = config.get("id2label", _unnamed(config))
    if not isinstance(table, dict) or len(table) < 2:
        raise UserError(
            f"{folder / 'config.json'} has no id2label with two labels or more: it is no classifier"
        )
    try:
        by_number = {int(number): str(label) for number, label in table.items()}
    except ValueError:
        by_number = {}
    if sorted(by_number) != list(range(len(table))):
        raise UserError(
            f"{folder / 'config.json'}: id2label's numbers are {list(table)[:5]}, must count from 0"
        )
    return [by_number[number] for number in range(len(table))]


def _unnamed(config: Mapping[str, Any]) -> dict[str, str] | None:
    """Returns the labels of a classifier whose config.json has none: transformers leaves out its two default ones."""
    kinds = config.get("architectures")
    classifies = isinstance(kinds, list) and any(
        str(kind).endswith("ForImageClassification") for kind in kinds
    )
    return {"0": "LABEL_0", "1": "LABEL_1"} if classifies and "num_labels" not in config else None


def _timm_folder_card(folder: Path, config: Mapping[str, Any], wishes: Wishes) -> Card:
    """Returns the card of a model that timm saved to a folder. Raises: UserError."""
    where = folder / "config.json"
    further = config.get("pretrained_cfg") or {}
    if not isinstance(further, dict):
        raise UserError(f"{where}: pretrained_cfg is {shown(further)}, must be an object")
    own = {**config, **further}
    classes = own.get("num_classes", 2)
    if not isinstance(classes, int) or not 1 <= classes <= LARGEST:
        raise UserError(f"{where}: num_classes is {shown(classes)}; allowed: 1 to {LARGEST}")
    labels = own.get("label_names") or [f"{index}" for index in range(classes)]
    if not isinstance(labels, list):
        raise UserError(f"{where}: label_names is {shown(labels)}, must be a list")
    return _timm(str(config["architecture"]), own, list(map(str, labels)), wishes, _licence(folder))


def _timm(
    model: str,
    own: Mapping[str, Any],
    labels: Sequence[str],
    wishes: Wishes,
    licence: str,
    prefix: str = "",
) -> Card:
    """Returns the card of timm's network, whose names begin with `prefix` in the file, as a module around it has it."""
    where = f"timm:{model}"
    shape = own.get("input_size")
    size = shape[-1] if isinstance(shape, list | tuple) and shape else shape
    if not isinstance(size, int) or not 0 < size <= LARGEST_INPUT:
        raise UserError(f"{where}: input_size is {shown(shape)}, must end with up to {LARGEST_INPUT} pixels")
    interpolation = f"pillow-{own.get('interpolation') or 'bicubic'}"
    if interpolation not in RESAMPLE.values():
        raise UserError(f"{where}: interpolation is {shown(own.get('interpolation'))}; write a card")
    if len(labels) == 1:
        positive = fake_outputs(("0", "1"), wishes.fake) if wishes.fake else (1,)
        output = Output("logit", positive, 1)
    else:
        output = Output("softmax", fake_outputs(labels, wishes.fake), len(labels))
    return Card(
        name=wishes.name,
        title=f"{model} of timm",
        builder="timm",
        licence=licence,
        citation="its page at Hugging Face" if wishes.fetched_as else "",
        source=wishes.fetched_as or "timm",
        trained_on=(),
        input=InputSpec(
            size,
            three(own.get("mean"), "mean", where),
            three(own.get("std"), "std", where),
            "centre",
            interpolation,  # type: ignore[arg-type]
            enlarged(size, own.get("crop_pct") or 1.0, where),
        ),
        crop=wishes.crop,
        remarks=(wishes.remark,),
        arguments={"model": model},
        keys=Keys(((f"^{re.escape(prefix)}", ""),) if prefix else ()),
        output=output,
    )


def _licence(folder: Path) -> str:
    """Returns what README.md's head says; a folder without one says nothing."""
    readme = folder / "README.md"
    if readme.is_file():
        head = readme.read_text(encoding="utf-8", errors="replace")[:4000]
        found = re.search(r"^license:\s*([\w.+ -]{1,60})$", head, re.MULTILINE)
        if found:
            return found[1].strip()
    return "not stated in its folder: see its page"


def _json(path: Path) -> dict[str, Any]:
    from reseption_models.files import check_is_file

    if path.parent.is_dir() and not path.is_file():
        found = ", ".join(sorted(one.name for one in path.parent.iterdir())[:5]) or "nothing"
        raise UserError(f"{path.parent} is no Hugging Face model: it has no {path.name} (it has {found})")
    check_is_file(path)
    if (size := path.stat().st_size) > MOST_BYTES:
        raise UserError(f"{path} has {size:,} bytes; allowed: {MOST_BYTES:,}")
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not JSON: {first_line(error)}") from None
    if not isinstance(table, dict):
        raise UserError(f"{path} holds a {type(table).__name__}, must be an object")
    return table
