"""What stands between a run's numbers and the thesis's beside them: settings, data, frames, counts of videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from dfd_train import reference
from dfd_train.data.overlap import identity_overlap
from dfd_train.errors import UserError
from dfd_train.report.run import Predictions, Run, read_run
from dfd_train.report.works import Works
from dfd_train.runs.folder import RunFolder
from dfd_train.settings.config import RunConfig, build_config, settings
from dfd_train.settings.files import PRESETS, read_config
from ffpp_prep.text.units import counted

DETECTION: Mapping[str, float] = {"every": 1, "threshold": 0.45, "margin": 0.3}
"""the thesis's face detection, as `ffpp-prep boxes` names it (section 4.4.1)"""
# Where things are, how fast they go and what is recorded besides; of the network itself, `Run.variant` tells.
NO_DIFFERENCE = {
    *("model.name", "model.input_size", "model.arguments", "model.members"),
    *("data.work", "data.also", "data.workers", "data.allow_leaks", "transforms.on"),
    *("train.seed", "train.device", "train.threads", "train.channels_last"),
    *("train.checkpoint_minutes", "train.gradient_flow", "train.tensorboard"),
    *("train.wandb", "train.mlflow"),
}


def of_thesis(predictions: pd.DataFrame) -> pd.DataFrame:
    """Returns the frames of the methods that the thesis has: its overall numbers are over no others."""
    return predictions[predictions["method"].isin(reference.METHODS)]


@dataclass(frozen=True)
class Differences:
    """One run beside the thesis."""

    run: Run
    frames: Mapping[str, int]
    """of each split, how many frames a video the thesis scores"""
    settings: tuple[str, ...]
    data: tuple[str, ...]
    """what is known of the prepared set"""

    @classmethod
    def of(cls, run: Run, works: Works) -> "Differences":
        """Compares a run of one of the thesis's models with the nearest of the presets that its tables print."""
        ours = RunFolder(run.path).read_config()
        known = tuple(name for name in ours.data.exclude_methods if name in reference.METHODS)
        ours = replace(ours, data=replace(ours.data, exclude_methods=known))
        presets = [
            build_config(read_config(PRESETS / f"{name}.toml")) for name in reference.PRESETS[run.model]
        ]
        nearest = min(presets, key=lambda preset: len(changes(preset, ours)))
        variant = (run.variant,) if run.variant else ()
        return cls(
            run=run,
            frames={"val": nearest.data.val_frames, "test": nearest.data.test_frames},
            settings=() if run.published else (*variant, *changes(nearest, ours), *_members(run, works)),
            data=(*_trained_methods(run), *_prepared(run.at_hand, works)),
        )

    def of_network(self) -> tuple[str, ...]:
        """Returns a note where the network is another, or its input."""
        run = self.run
        return (f"{run.name} is not quite the thesis's {run.model}: {run.variant}.",) if run.variant else ()

    def notes(self, predictions: Predictions) -> tuple[str, ...]:
        """Returns all that differs, for below a table of `predictions`' numbers."""
        name, parts = self.run.name, (*self.data, *self._scored(predictions))
        lines = [f"{name}: {evaluated}."] if (evaluated := self.run.evaluated(predictions)) else []
        if self.run.published:
            lines.append(f"{name}: {self.run.origin}; with which settings it was trained is not known here.")
        if self.settings:
            lines.append(
                f"{name}, settings unlike the thesis's {self.run.model}: {'; '.join(self.settings)}."
            )
        lines += [f"{name}, data unlike the thesis's: {'; '.join(parts)}."] if parts else []
        return (*lines, *self._counts(predictions))

    def _scored(self, predictions: Predictions) -> list[str]:
        frames, theirs = predictions.metadata.get("frames_per_video"), self.frames.get(predictions.split)
        parts = (
            [f"{counted(int(frames), 'frame')} a video instead of {theirs}"]
            if frames and int(frames) != theirs
            else []
        )
        found = set(predictions.frames.get("compression", pd.Series(dtype=object)).dropna()) - {"c23", ""}
        return parts + ([f"compression {', '.join(sorted(found))} instead of c23"] if found else [])

    def _counts(self, predictions: Predictions) -> list[str]:
        """Returns videos by method compared with the thesis's, and those that its tables have no row for."""
        ours = predictions.frames.groupby("method")["video_id"].nunique()
        implied = reference.implied_counts()
        theirs = implied[implied["split"] == predictions.split].set_index("method")["videos"]
        pairs = [f"{method} {ours.get(method, 0)} ({theirs[method]})" for method in theirs.index]
        lines = [f"{self.run.name}, videos (the thesis's): {', '.join(pairs)}."]
        others = [f"{method} {number}" for method, number in ours.items() if method not in theirs.index]
        if others:
            left_out = f"videos of methods that the thesis has not: {', '.join(others)}"
            lines.append(f"{self.run.name}, in no row and not in Overall, {left_out}.")
        return lines


def changes(theirs: RunConfig, ours: RunConfig) -> list[str]:
    """Returns settings that decide the outcome and differ, as `section.field ours instead of theirs`."""
    lines = []
    for setting in settings():
        section, name = setting.name.split(".")
        before, after = (getattr(getattr(config, section), name) for config in (theirs, ours))
        if before != after and setting.name not in NO_DIFFERENCE:
            lines.append(f"{setting.name} {_plain(after)} instead of {_plain(before)}")
    return lines


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return " to ".join(map(str, value)) or "none"
    return "unset" if value is None else str(value)


def _members(run: Run, works: Works) -> list[str]:
    """Returns how the runs that an ensemble joins differ from the thesis's."""
    lines = []
    for place in run.config["model"]["members"]:
        try:
            member = read_run(Path(place))
        except (OSError, UserError):
            lines.append(f"member {place} not known")
            continue
        if member.model not in reference.PRESETS:
            lines.append(f"member {member.name} is {member.model}")
        elif found := Differences.of(member, works).settings:
            lines.append(f"member {member.name} with {', '.join(found)}")
    return lines


def _trained_methods(run: Run) -> list[str]:
    """Returns methods that trained but are not in the thesis, and the other way round; nothing for an unknown set."""
    trained = run.data.get("splits", {}).get("train", {}).get("methods")
    if not trained:
        return []
    more, fewer = (
        sorted({*a} - {*b}) for a, b in ((trained, reference.METHODS), (reference.METHODS, trained))
    )
    parts = [f"trained on {', '.join(more)} besides"] if more else []
    return parts + ([f"not trained on {', '.join(fewer)}"] if fewer else [])


def _prepared(places: Sequence[Path], works: Works) -> list[str]:
    """Returns how faces were detected and DeepFakeDetection divided, read from the prepared sets."""
    if not places:  # of a published detector that has scored nothing yet
        return []
    tables = works.open(places)
    if tables is None:
        work = ", ".join(map(str, places))
        return [f"not known how faces were detected and DeepFakeDetection was split: {work} cannot be opened"]
    parts = []
    for name, theirs in DETECTION.items():
        said = tables.detection.get(name, (theirs,))
        if said != (theirs,):
            parts.append(f"face detection with {name} {', '.join(map(str, said))} instead of {theirs}")
    dfd = tables.videos[tables.videos["dataset"] == "dfd"]
    train, others = dfd[dfd["split"] == "train"], dfd[dfd["split"].isin(("val", "test"))]
    if len(train) and len(others):
        shared = len(identity_overlap(train, others).identities)
        parts.append(
            f"DeepFakeDetection is another random draw than the thesis's, {counted(shared, 'actor')} in training and "
            "outside"
            if shared
            else "DeepFakeDetection is split by actors instead of at random"
        )
    return parts
