"""The card of an exported detector: everything that a program needs to score a crop without the run's folder.

It travels as JSON: in an ONNX file's metadata under `METADATA_KEY`, beside safetensors weights as `CARD_FILE`.
Nothing here loads torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dfd_train.calibration.compared import PrecisionCheck
from dfd_train.calibration.learned import Calibration
from dfd_train.data.spec import CropRule, Fit, InputSpec, Interpolation, Rule, Template
from dfd_train.errors import UserError
from dfd_train.metrics.videos import Pooling
from ffpp_prep.format.checksums import parsed_json, with_checksum, without_checksum
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.settings import DetectorName

METADATA_KEY = "dfd_train"
CARD_FILE = "dfd_train.json"
INPUT, OUTPUT = "image", "logits"
"""names of the ONNX file's input, float32 (N, 3, S, S), any N, and output, float32 (N, 1), positive for fake"""

Channels = tuple[float, float, float]


@dataclass(frozen=True)
class DetectorCard:
    """How to make a detector's input from a video's frame, and how to read its output.

    Crop: the square around the detector's box, larger by `margin`, at the frame's edge as `border` says
    (`ffpp_prep.format.geometry`); then resized to `input_size`, bilinear with antialiasing
    (`dfd_train.data.transforms.resize`); RGB in [0, 1]; minus `mean`, over `std`.
    Probability of fake: what `calibration.score` makes of the logits of a face's frames (docs/metrics.md, "The deployed
    score"); 1 / (1 + e^(-logit / temperature)) for programs that know no other scale.
    """

    model: str
    """the name in the run's settings, for people"""
    input_size: Annotated[int, Meta(ge=1, le=4096)]
    """side of the square input, pixels"""
    mean: Channels
    std: Channels
    threshold: Annotated[float, Meta(ge=0.0, le=1.0)]
    """a video leans to fake where the probability by `temperature` exceeds this: the best balanced accuracy"""
    temperature: Annotated[float, Meta(gt=0.0)]
    """divides the logit; 1: the network's own"""
    calibrated_on: str
    """where threshold and temperature come from: "validation", or "nothing" for 0.5 and 1"""
    demonstration: bool
    """trained on sample data: shown as a demonstration, and no verdict is given"""
    margin: Annotated[float, Meta(ge=0.0)]
    border: Literal["clip", "pad"]
    crop_size: Annotated[int, Meta(ge=0, le=8192)]
    """side to which crops were resized before they were stored; 0: native"""
    checkpoint_sha256: str
    """of the checkpoint that was exported"""
    align: Literal["", "deepfakebench"] = ""
    """the template that its faces' five points were laid on, 1 + margin times as much shown; "" for squares"""
    detector: DetectorName = "ssd"
    """which one of ffpp-prep's found the faces of its training data"""
    labels: tuple[Literal["real"], Literal["fake"]] = ("real", "fake")
    """what label 0 and label 1 mean; a positive logit speaks for label 1"""
    validation_videos: tuple[int, int] = (0, 0)
    """how many real and fake videos it was calibrated on; until there was `calibration`, whose fields say more"""
    validation_real: tuple[float, ...] = ()
    """probabilities of the real ones, ascending; quantiles of them where there are more than 1001"""
    validation_fake: tuple[float, ...] = ()
    """the same of the fakes"""
    fit: Fit = "stretch"
    """how a crop becomes the square, see `dfd_train.data.spec.InputSpec`: of published detectors, as the next"""
    interpolation: Interpolation = "bilinear"
    shorter: Annotated[int, Meta(ge=0)] = 0
    rule: Rule = "square"
    """how a crop derives from a box, see `dfd_train.data.spec.CropRule`: of published detectors, as the next"""
    whole_pixels: bool = False
    template: Template = ""
    scale: float = 1.3
    pooling: Pooling = "mean"
    """how frames' scores become a face's where there is no `calibration`, which says it itself"""
    remarks: tuple[str, ...] = ()
    """what must stand beside its scores: of a published detector its licence, and what it learned from"""
    calibration: Calibration | None = None
    """the run's, whole; cards of earlier exports have none"""
    precision: Literal["fp32", "int8"] = "fp32"
    """in which an ONNX file computes; `calibration` is of fp32 in any case"""
    checks: tuple[PrecisionCheck, ...] = ()
    """what was found where other precisions were compared with fp32 on its validation videos; so of int8 files"""
    licence: str = ""
    """of the weights; empty where nobody stated one, and in cards of earlier exports; so the next"""
    trained_on: str = ""
    format_version: Literal[1] = 1

    @property
    def input(self) -> InputSpec:
        """The input that the network takes."""
        return InputSpec(self.input_size, self.mean, self.std, self.fit, self.interpolation, self.shorter)

    @property
    def geometry(self) -> CropGeometry:
        """The geometry of the crops that the network learned from."""
        rule = CropRule(
            self.margin,
            self.border,
            self.crop_size,
            self.align,
            self.rule,
            self.whole_pixels,
            self.template,
            self.scale,
        )
        return rule.plain

    def to_json(self) -> str:
        """Returns the card as one JSON object."""
        return json.dumps(with_checksum(msgspec.to_builtins(self)), indent=2)

    @classmethod
    def from_json(cls, text: str | bytes, here: Path = Path(CARD_FILE)) -> DetectorCard:
        """Reads the card of an exported detector from the text of a file, `here`.

        Raises: UserError if the text is not a card, or has another version.
        """
        again = "export the run again"
        content = without_checksum(parsed_json(text, here, again), here, again)
        try:
            card = msgspec.convert(content, cls)
            _ = card.input, card.geometry  # whose fields have bounds of their own
        except (msgspec.ValidationError, UserError) as error:
            raise UserError(f"{here}: not the metadata of an exported detector: {error}") from None
        return card
