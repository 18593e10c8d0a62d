"""Every setting of ffpp-prep, declared once: its default, what is allowed, and what the command line says of it.

Flags, help and messages follow from these fields (`ffpp_prep.command_line.flags`). Nothing heavy is imported, so that
`--help` answers at once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

from ffpp_prep.errors import UserError
from ffpp_prep.options import Checked, Range, setting

__all__ = [
    "DEFAULT_CODEC",
    "THESIS_MARGIN",
    "WHOLE",
    "Align",
    "Border",
    "BoxSettings",
    "Choice",
    "CodecName",
    "CropSettings",
    "DetectorName",
    "DfdRule",
    "DfdcRule",
    "Engine",
    "EngineName",
    "ExportFormat",
    "ExportSettings",
    "FakeSettings",
    "PictureRule",
    "Precision",
    "SplitSettings",
    "engine_name",
]

THESIS_MARGIN = 0.3
Border = Literal["clip", "pad"]
Align = Literal["", "deepfakebench"]
# The table in docs/format.md says what each is.
CodecName = Literal["zstd", "webp", "jxl", "png", "qoi", "raw", "jpeg"]
DEFAULT_CODEC: Final = "zstd"
Decoder = Literal["pyav", "decord"]
DetectorName = Literal["ssd", "blazeface"]  # `detector` loads them
EngineName = Literal["auto", "litert", "tensorflow", "torch"]
Precision = Literal["fp32", "fp16", "bf16"]
WHOLE: Final = "whole"  # in a detector's place, where faces are taken as they are
ExportFormat = Literal["webdataset", "folder", "deepfakebench", "hf"]  # `exports` writes them
PictureRule = Literal["auto", "frames", "each", "none"]  # `datasets.layouts.pictures` says what each takes
DfdRule = Literal["actors", "thesis"]
DfdcRule = Literal["parts", "thesis"]


Count = Annotated[int, Range(ge=1)]
CountOrZero = Annotated[int, Range(ge=0)]
Margin = Annotated[float, Range(ge=0, le=4)]
Tiles = Annotated[int, Range(ge=2, le=8)] | None  # along each side of a frame


@dataclass(frozen=True)
class BoxSettings(Checked):
    """What decides the boxes; two runs with equal settings write equal rows.

    Attributes:
        threshold: a second face is kept above this score, and a frame has a face above it (thesis: 0.45).
        every: detect every K-th frame and interpolate between; 1 detects all.
        margin: how much larger than the box the recorded square is (thesis: 0.3).
        weights_sha256: of the detector's weights.
        decoder: pyav or decord, see `ffpp_prep.video`; they number frames alike, 10-bit colours differ slightly.
        from_original: any fake whose frames match its original's takes that one's boxes; DFDC's do so anyway.
        detector: ssd, the thesis's, or blazeface. The thesis's is kept as "", as in files of before there were two.
        tiles: the detector also looks at so many overlapping tiles along each side of a frame; None for the whole
            frame only.
        faces: as-is where pictures are face crops already: each is taken whole, and no detector runs. To find them is
            kept as "", as in files of before there was a choice.

    Raises:
        UserError: a value that isn't allowed.
    """

    threshold: Annotated[float, Range(ge=0, lt=1)] = setting(
        0.45, "the score above which a frame's second and further faces are kept"
    )
    every: Count = setting(
        1,
        "detect every K-th frame and interpolate between them",
        flag="--detect-every",
        metavar="K",
    )
    margin: Margin = setting(THESIS_MARGIN)
    weights_sha256: str = setting("", flag="--frozen-graph with SHA-256")
    decoder: Decoder = setting("pyav", "the library that reads the videos")
    from_original: bool = setting(
        False,
        "let a fake take its original's boxes if their frames match; DFDC's fakes always do",
        flag="--boxes-from-original",
    )
    detector: Literal["", DetectorName] = setting(
        "",
        "ssd is the thesis's; blazeface takes a fifth of its time, see docs/detectors.md",
        empty="ssd",
    )
    tiles: Tiles = setting(
        None,
        "also search N x N overlapping tiles of each frame, for small faces in large frames; takes N * N + 1 times as "
        "long (default: the whole frame only)",
        metavar="N",
    )
    faces: Literal["", "found", "as-is"] = setting(
        "",
        "as-is: the pictures are face crops already, and each is taken whole without any detector",
        empty="found",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, empty in (("detector", "ssd"), ("faces", "found")):
            if getattr(self, name) == empty:
                object.__setattr__(self, name, "")
        if self.faces and self.detector:
            raise UserError(f"detector={self.detector}: none runs if faces=as-is (--faces as-is)")
        if self.faces and self.tiles:
            raise UserError(f"tiles={self.tiles}: no detector runs if faces=as-is (--faces as-is)")

    @property
    def finder(self) -> Literal[DetectorName, "whole"]:
        """What finds the faces: a detector, or `whole` where each picture is one."""
        return "whole" if self.faces else self.detector or "ssd"


@dataclass(frozen=True)
class Engine(Checked):
    """Says which detector runs, and how: it changes speed, not boxes (see docs/decisions.md).

    Attributes:
        name: auto, litert, tensorflow or torch, see `ffpp_prep.detector.load_detector`.
        threads: processor threads of each detector.
        frozen_graph: to be run in place of the embedded network.
        gpus: worker processes, one a GPU, in place of the jobs; None for as many as torch or TensorFlow sees, 0 for
            none.
        decode_threads: in each worker process, one video each, whose frames go to the process's one detector; with
            torch they are processes of their own. None for 1, and for the GPU's share of the cores where there is one.
        detector: ssd or blazeface, that of the boxes' settings; whole where those take faces as they are.
        precision: of the numbers in torch's networks; below fp32 boxes move a little.
        tiles: that of the boxes' settings.

    Raises:
        UserError: a value that isn't allowed.
    """

    name: EngineName = setting("auto", "the detector's engine", flag="--engine")
    threads: Count = setting(1, "threads of the engine in each job", metavar="N")
    frozen_graph: Path | None = setting(
        None, "run this frozen_inference_graph_face.pb instead of the embedded network", metavar="PB"
    )
    gpus: CountOrZero | None = setting(
        None,
        "processes, one per GPU, instead of --jobs (default: all GPUs that torch or TensorFlow sees; 0: none)",
        metavar="N",
    )
    decode_threads: Count | None = setting(
        None,
        "threads (with torch: processes) that decode for each engine (default: 1; with GPUs their share of the cores)",
        metavar="N",
    )

    detector: Literal[DetectorName, "whole"] = setting("ssd")
    precision: Precision = setting(
        "fp32",
        "precision of the network (engine torch only): fp16 and bf16 are meant to be faster, and move boxes slightly",
    )
    tiles: Tiles = setting(None)


def engine_name(name: str, precision: Precision) -> str:
    """Returns what boxes record of their engine: its name, and its precision where that isn't the others'."""
    return name if precision == "fp32" else f"{name}-{precision}"


@dataclass(frozen=True)
class CropSettings(Checked):
    """What decides the crops; two runs with equal settings write equal pixels.

    Attributes:
        codec: how crops are stored; see `ffpp_prep.format.codecs`. Empty: the codec of the crops already stored, or
            DEFAULT_CODEC if there are none.
        margin: how much larger than the raw box the square is (thesis: 0.3).
        border: `clip` to the frame, or `pad` with black beyond it.
        size: side of the stored square in pixels; 0 keeps the native size.
        min_score: boxes below this detector score are left out.
        every: take every K-th frame.
        frames: take this many equally spaced frames a video; 0 for no limit.
        for_training: take just the frames that this many epochs, and the evaluation, ask for; 0 for all.
        batches: what `for_training` counts on: `various` batches of its epochs, those of the presets' epochs too
            (`various-presets`), or all that dfd-train's presets ask for. The first is kept as "", as in files from
            before there was a choice.
        protocol: whose frames of test videos `for_training` stores too; None is kept as "".
        decoder: pyav or decord; that of the boxes.
        boxes: fingerprint of the boxes that are cut out by.
        align: the template that a face's five points are laid on, in place of the square around its box; the crop then
            shows 1 + margin times the template, 256 pixels a side unless `size` says otherwise. Needs landmarks. None
            is kept as "", as in files from before there were templates.
        landmarks: fingerprint of the landmarks that aligned crops are cut by.

    Raises:
        UserError: a value that isn't allowed.
    """

    codec: Literal["", CodecName] = setting(
        "",
        "how crops are stored; all but jpeg are lossless (default: as those in WORK/faces are, otherwise zstd)",
    )
    margin: Margin = setting(THESIS_MARGIN, "how much larger than the box a crop is")
    border: Border = setting("clip", "what happens beyond the frame's edge")
    size: Annotated[int, Range(ge=0, le=4096)] = setting(
        0, "the side of a crop in pixels; 0 keeps its own size", metavar="PIXELS"
    )
    min_score: Annotated[float, Range(ge=0, le=1)] = setting(0.0, "leave out boxes below this score")
    every: Count = setting(1, "cut crops from every K-th frame only", metavar="K")
    frames: CountOrZero = setting(0, "cut crops from N equally spaced frames of each video only", metavar="N")
    for_training: Annotated[int, Range(ge=0, le=1 << 20)] = setting(
        0,
        "cut only the frames that this many epochs and the evaluation need with dfd-train's default batches and "
        "frame numbers; with other settings, crops that aren't stored are cut from the video, more slowly",
        metavar="EPOCHS",
    )
    batches: Literal["", "various", "various-presets", "presets"] = setting(
        "",
        "with --for-training, which frames to store: those of `various` batches; also those that all presets with "
        "`various` batches need; or all that any preset needs, `dual` batches included (most of each video)",
        empty="various",
    )
    protocol: Literal["", "none", "deepfakebench"] = setting(
        "",
        "with --for-training: also store the frames that dfd-train evaluate --protocol needs from test videos, "
        "including videos with multiple faces",
        empty="none",
    )
    decoder: Decoder = setting("pyav", flag="boxes of --decoder")
    boxes: str = setting("", flag="boxes of fingerprint")
    align: Literal["", "none", "deepfakebench"] = setting(
        "",
        "turn and scale each face so that eyes, nose and mouth match this template; needs ffpp-prep landmarks; "
        "--size is then 256 by default, and --margin 0.3 DeepfakeBench's scale of 1.3",
        empty="none",
    )
    landmarks: str = setting("", flag="landmarks of fingerprint")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, empty in (("align", "none"), ("batches", "various"), ("protocol", "none")):
            if getattr(self, name) == empty:
                object.__setattr__(self, name, "")
        for name in ("batches", "protocol"):
            if getattr(self, name) and not self.for_training:
                given = f"{name}={getattr(self, name)}"
                raise UserError(f"{given}: goes with for_training (--for-training EPOCHS) only")
        if self.align and not self.size:
            object.__setattr__(self, "size", 256)
        if sum((self.every > 1, self.frames > 0, self.for_training > 0)) > 1:
            raise UserError("every, frames and for_training exclude each other; give one of them")

    def with_codec(self, before: Literal["", CodecName] = "") -> CropSettings:
        """Returns the settings with a codec: the chosen one, else that of the crops that were stored `before`."""
        return replace(self, codec=self.codec or before or DEFAULT_CODEC)


@dataclass(frozen=True)
class Choice(Checked):
    """Which videos are extracted; may grow from run to run.

    Attributes:
        methods: only these methods (and always the originals); empty for all.
        include_multiple_faces: also videos flagged `multiple_faces`.
        max_gb: stop planning when the shards are estimated to reach this many GB; 0 for no limit. Originals come
            first, then fakes in turn by method: originals are read most in training.

    Raises:
        UserError: a value that isn't allowed.
    """

    methods: tuple[str, ...] = setting((), "only these methods, and the originals", metavar="A,B")
    include_multiple_faces: bool = setting(False, "also take videos flagged multiple_faces")
    max_gb: Annotated[float, Range(ge=0)] = setting(
        0.0, "stop at about this size, originals first", metavar="GB"
    )


@dataclass(frozen=True)
class SplitSettings(Checked):
    """How splits are assigned.

    Attributes:
        folder: with train.json, val.json and test.json in the official format, and optionally dfd.json
            ({"train": ["01", …], "val": […], "test": […]}: actors); None fetches the official lists.
        dfd: `actors` draws an actor-disjoint split of DeepFakeDetection, whose fakes between splits become
            `unused`; `thesis` draws over originals, fakes following theirs, which leaks identities.
        dfdc: `parts` holds out whole parts of DFDC, in which most people stay; `thesis` draws over the originals
            inside each part, fakes following theirs, so that most people of the test videos also train.
        seed: of every draw; 0 or more.

    Raises:
        UserError: a value that isn't allowed.
    """

    folder: Path | None = setting(
        None,
        "a folder of train.json, val.json and test.json (default: ROOT/splits, else the official lists are fetched)",
        flag="--splits",
        metavar="DIR",
    )
    dfd: DfdRule = setting(
        "actors",
        "DeepFakeDetection: actor-disjoint, or the thesis's random split, which leaks",
        flag="--dfd-splits",
    )
    dfdc: DfdcRule = setting(
        "parts",
        "DFDC: whole parts held out, or the thesis's draw inside each part, which leaks people",
        flag="--dfdc-splits",
    )
    seed: CountOrZero = setting(0, "the seed of drawn splits", metavar="N")


@dataclass(frozen=True)
class FakeSettings(Checked):
    """What decides whether a face is touched.

    Attributes:
        threshold: of `contrast`, from which a face is touched.
        faintest: grey levels by which the most different parts of the faintest manipulation differ from the
            original. Where the codec's noise comes so near to it that it wouldn't stand out, a face below the
            threshold isn't untouched but unknown. None: not asked for, as in folders from before there was noise.
            Both were chosen by benchmarks/check_fakes.py.
        boxes: fingerprint of the boxes that were measured.

    Raises:
        UserError: a value that isn't allowed.
    """

    threshold: Annotated[float, Range(gt=0)] = setting(
        1.45,
        "a face is touched if its most different parts reach this many times the codec's noise",
        metavar="T",
    )
    faintest: Annotated[float, Range(ge=0)] | None = setting(
        5.5,
        "the smallest change, in grey levels, that a manipulation makes. If a face is below the threshold and noise "
        "could hide a change this small, it is unknown and counts as touched",
        metavar="GREY",
    )
    boxes: str = setting("", flag="boxes of fingerprint")


@dataclass(frozen=True)
class ExportSettings(Checked):
    """What is exported, and in which form; two exports with equal settings of one WORK hold equal files.

    Attributes:
        to: the form.
        split: train, val, test or unused; empty for all.
        frames: at most this many a video, equally spaced; 0 for all that are stored.
        shard: crops in each tar or Parquet file.
        seed: of the order of the crops in tars and Parquet files, where training reads them one after the other.
        name: of the data set in DeepfakeBench's lists; empty for the one that scan found.

    Raises:
        UserError: a value that isn't allowed.
    """

    to: ExportFormat = setting(
        "folder",
        "webdataset: tars; folder: PNG files by split and method; deepfakebench: frames, points and JSON lists; hf: a "
        "Parquet data set for Hugging Face's datasets",
    )
    split: str = setting("", "only this split", metavar="NAME")
    frames: CountOrZero = setting(0, "at most N equally spaced frames of each video", metavar="N")
    shard: Annotated[int, Range(ge=1, le=1 << 20)] = setting(
        2000, "crops in each tar or Parquet file", metavar="N"
    )
    seed: CountOrZero = setting(0, "the seed of the crops' order in tars and Parquet files", metavar="N")
    name: str = setting("", "what DeepfakeBench's lists call the data set", metavar="NAME")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_+.-]*", self.name):
            raise UserError(f"name={self.name}: may have letters, digits, and _ + . - only")
