"""Every public dataclass of options refuses values that are not allowed when it is built in Python, by name."""

import dataclasses
import importlib
import math
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
import pytest

import dfd_train
import ffpp_prep
import reseption_models
from dfd_train.data.spec import CropRule, InputSpec
from dfd_train.engine.evaluate import EvaluationRequest
from dfd_train.engine.score import Scoring
from dfd_train.explain.request import ExplainRequest
from dfd_train.predict.faces import Rates
from dfd_train.report.compare import Others
from dfd_train.robustness.sweep import SweepRequest
from dfd_train.settings import sections
from dfd_train.settings.config import build_config
from dfd_train.suite.plan import Protocol, SuiteSet
from dfd_train.suite.score import SuiteRequest
from ffpp_prep import settings
from ffpp_prep.errors import UserError
from ffpp_prep.format.geometry import CropGeometry
from ffpp_prep.one_video.landmarks import LandmarkSettings
from ffpp_prep.options import Checked, check_options
from reseption_models import EnsembleConfig, ModelCard, ReseptionConfig
from reseption_models.errors import UserError as NetworkError
from reseption_models.hub import HubOptions

NEEDED = {
    Scoring: {"frames_per_video": 3},
    ExplainRequest: {"runs": (Path("run"),), "out": Path("out")},
    Others: {"files": {}},
    InputSpec: {"size": 32},
    Protocol: {"name": "own"},
    SuiteSet: {"name": "own"},
}
"""what a dataclass can't be built without"""
OPTIONS = [
    *(value for module in (sections, settings) for value in vars(module).values()
      if isinstance(value, type) and issubclass(value, Checked) and value.__module__ == module.__name__),
    *(Scoring, EvaluationRequest, SweepRequest, ExplainRequest, Rates, Others),
    *(Protocol, SuiteSet, SuiteRequest),
    *(CropGeometry, CropRule, InputSpec, LandmarkSettings),
]  # fmt: skip
WRONG = {
    bool: ("yes", 1, None),
    int: (1.5, "2", math.nan, True, -(10**12), None),
    float: ("0.5", math.nan, math.inf, True, -1e12, None),
    str: (3, None, ("a",)),
    Path: (3, True),
}


def plain(hint: Any) -> list[Any]:
    """The types that a hint lets through, without their ranges."""
    if get_origin(hint) is Annotated:
        return plain(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [kind for part in get_args(hint) for kind in plain(part)]
    return [hint]


def wrong_values(hint: Any) -> Iterator[object]:
    """Values that no field of such a type may have; of several types, what suits none."""
    kinds = plain(hint)
    yield object()
    if NoneType not in kinds:
        yield None
    (kind,) = [one for one in kinds if one is not NoneType][:1]
    if get_origin(kind) is Literal:
        words = ("nonsense", 3, "", get_args(kind)[-1].upper())
        yield from (word for word in words if word not in get_args(kind))
    elif get_origin(kind) is tuple:
        yield from ("abc", 3, (object(),), ["a", 3])
    elif kind in WRONG:
        yield from (value for value in WRONG[kind] if value is not None)
    elif isinstance(get_origin(kind), type):  # a dictionary
        yield from ("abc", 3, {3: 3})


@pytest.mark.parametrize("kind", OPTIONS, ids=lambda kind: kind.__name__)
def test_wrong_values_are_refused_by_name(kind):
    hints = get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(kind):
        values = list(wrong_values(hints[field.name]))
        assert len(values) > 1, field.name
        for value in values:
            with pytest.raises(UserError, match=rf"^{field.name}=.*: must be ") as caught:
                kind(**{**NEEDED.get(kind, {}), field.name: value})
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", OPTIONS, ids=lambda kind: kind.__name__)
def test_every_number_has_a_range(kind):
    """A setting of which any number were right would take -1e12 frames."""
    for field in dataclasses.fields(kind):
        for part in plain(get_type_hints(kind)[field.name]):
            if part in (int, float):
                with pytest.raises(UserError, match=rf"^{field.name}=-1e\+12|^{field.name}=-1000000000000"):
                    kind(**{**NEEDED.get(kind, {}), field.name: part(-(10**12))})


@pytest.mark.parametrize("kind", OPTIONS, ids=lambda kind: kind.__name__)
def test_defaults_and_numbers_of_numpy_are_taken(kind):
    made = kind(**NEEDED.get(kind, {}))
    counts = {
        field.name: np.int64(value)
        for field in dataclasses.fields(kind)
        if type(value := getattr(made, field.name)) is int
    }
    assert dataclasses.replace(made, **counts) == made


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: settings.BoxSettings(threshold=2), "threshold=2: must be a number in 0 ≤ threshold < 1"),
        (lambda: settings.BoxSettings(decoder="nonsense"), "decoder=nonsense: must be pyav or decord"),
        (lambda: CropGeometry(size=-1), "size=-1: must be a whole number in 0 ≤ size ≤ 8192"),
        (
            lambda: sections.OptimizerConfig(momentum=2),
            "momentum=2: must be a number in 0 ≤ momentum < 1",
        ),
        (
            lambda: sections.DataConfig(batches="both"),
            "batches=both: must be various, dual, shuffled or blends",
        ),
        (
            lambda: EvaluationRequest(frames=0),
            "frames=0: must be a whole number in 1 ≤ frames ≤ 1000000 or None",
        ),
        (
            lambda: EvaluationRequest(checkpoint="newest"),
            "checkpoint=newest: must be best or last",
        ),
        (lambda: Rates(detect=0.0), "detect=0.0: must be a number in 0 < detect or None"),
        (lambda: sections.RunConfig(train=3), "train=3: must be a TrainConfig"),
    ],
)
def test_the_message_says_what_is_allowed(make, message):
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        make()


def test_a_settings_file_names_the_section_too():
    with pytest.raises(UserError, match=r"^optimizer\.lr=inf: must be a number in 0 < lr$"):
        build_config({"optimizer": {"lr": math.inf}})


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        (ReseptionConfig, {}),
        (EnsembleConfig, {"members": (ReseptionConfig(), ReseptionConfig())}),
        (ModelCard, {}),
        (HubOptions, {}),
    ],
)
def test_networks_refuse_wrong_values_too(kind, needed):
    """The library stands alone, and has errors and words of its own."""
    for field in dataclasses.fields(kind):
        for value in (object(), math.nan, -1, [object()], {"a": object()}):
            with pytest.raises(NetworkError, match=field.name):
                kind(**{**needed, field.name: value})


def test_what_types_can_say_is_checked():
    @dataclasses.dataclass(frozen=True)
    class Made(Checked):
        pair: tuple[int, str] = (1, "a")
        shares: Annotated[dict[str, float] | None, "a note"] = None

    assert check_options(Made()) is None
    for wrong in ({"pair": (1,)}, {"pair": ("a", 1)}, {"shares": {"a": "b"}}, {"shares": {1: 0.5}}):
        with pytest.raises(UserError):
            Made(**wrong)
    assert Made(pair=(2, "b"), shares={"a": 1}).shares == {"a": 1}


def test_no_dataclass_of_options_is_forgotten():
    """By what such classes are called in the three packages."""
    word = re.compile(
        r"^[A-Z]\w*(Config|Settings|Request|Rates|Scoring|Others|Engine|Choice|Geometry|Rule|Spec)$"
    )
    for package in (ffpp_prep, reseption_models, dfd_train):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" in module.name or "tensorflow" in module.name or "decord" in module.name:
                continue
            found = importlib.import_module(module.name)
            for name, value in vars(found).items():
                own = isinstance(value, type) and value.__module__ == module.name and word.match(name)
                if own and dataclasses.is_dataclass(value) and value not in (ReseptionConfig, EnsembleConfig):
                    assert value in OPTIONS, f"{module.name}.{name}"
