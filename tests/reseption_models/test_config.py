"""Configurations: checked when made, the same after JSON, and scaled so that every sum still holds."""

import dataclasses
import json
from typing import Any

import pytest
import torch

from reseption_models import (
    RESEPTION_ENSEMBLE,
    RESEPTION_V1,
    RESEPTION_V2,
    EnsembleConfig,
    Reseption,
    ReseptionConfig,
    create_model,
    list_models,
)
from reseption_models.catalog import model_entry

SMALL = dataclasses.replace(
    RESEPTION_V2, width_multiplier=0.3, depth_multiplier=1.5, input_size=96, in_chans=1
)


@pytest.mark.parametrize("config", [RESEPTION_V1, RESEPTION_V2, SMALL])
def test_round_trip_through_json(config: ReseptionConfig) -> None:
    assert ReseptionConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_ensemble_round_trip_through_json() -> None:
    config = dataclasses.replace(RESEPTION_ENSEMBLE, features=64, num_classes=2)
    assert EnsembleConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        RESEPTION_V1.input_size = 300  # type: ignore[misc]


def test_unknown_keys_are_refused() -> None:
    with pytest.raises(ValueError, match=r"ReseptionConfig has no widht; it has: stem, "):
        ReseptionConfig.from_dict({"widht": 2})
    with pytest.raises(ValueError, match="EnsembleConfig has no voters"):
        EnsembleConfig.from_dict({"members": [], "voters": 2})
    with pytest.raises(ValueError, match=r"reseption_v1 has no widht; allowed: stem, "):
        create_model("reseption_v1", widht=2)
    with pytest.raises(ValueError, match=r"reseption_ensemble has no stem; allowed: features"):
        create_model("reseption_ensemble", stem=(8, 8, 8, 8, 8))
    with pytest.raises(ValueError, match=r"there is no model 'resnet'; allowed: reseption_v1, "):
        create_model("resnet")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width_multiplier", 0.1),
        ("width_multiplier", 4.5),
        ("width_multiplier", "1"),
        ("depth_multiplier", 0),
        ("input_size", 74),
        ("input_size", 601),
        ("input_size", 299.0),
        ("in_chans", 0),
        ("num_classes", -1),
        ("num_classes", True),
        ("drop_rate", 1.0),
        ("drop_rate", -0.1),
        ("drop_path_rate", 1.0),
        ("act_layer", "softmax"),
        ("act_layer", 3),
        ("act_layer", ["relu"]),
        ("act_layer", None),
        ("bn_momentum", 1.5),
        ("bn_eps", 0),
        ("remap", 1),
        ("stem", (32, 32, 64, 80)),
        ("stem", (32, 32, 64, 80, -192)),
        ("depths", (3, 4)),
        ("depths", (3, 0, 2)),
        ("block_a", ((64,), (48, 64))),
        ("block_b", ((256,), (192, 192), (192,) * 5)),
    ],
)
def test_values_out_of_range_are_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{field} is .*allowed: "):
        ReseptionConfig(**{field: value})


def test_widths_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ValueError, match="block_a concatenates to 200, but 192 come in"):
        ReseptionConfig(block_a=((72,), (48, 64), (48, 64, 64)))


def test_ensembles_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="2 to 32 members, not 1"):
        EnsembleConfig((RESEPTION_V1,))
    with pytest.raises(ValueError, match="members differ in"):
        EnsembleConfig((RESEPTION_V1, dataclasses.replace(RESEPTION_V2, input_size=300)))


def test_the_defaults_are_not_changed_by_scaling() -> None:
    assert RESEPTION_V1.scaled() == RESEPTION_V1
    assert RESEPTION_V2.scaled() == RESEPTION_V2
    assert RESEPTION_V1.grid_widths == (192, 640, 1280)
    assert RESEPTION_V2.grid_widths == (224, 784, 1568)


@pytest.mark.parametrize("base", [RESEPTION_V1, RESEPTION_V2])
def test_every_width_multiplier_gives_a_network_that_fits_together(base: ReseptionConfig) -> None:
    for hundredths in range(13, 401):
        scaled = dataclasses.replace(base, width_multiplier=hundredths / 100).scaled()
        widths = [scaled.stem, *scaled.block_a, *scaled.block_b, *scaled.block_c]
        assert all(width >= 8 and width % 8 == 0 for branch in widths for width in branch)
        for grid, expected in zip(scaled.grid_widths, base.grid_widths, strict=True):
            assert abs(grid - expected * hundredths / 100) <= 5 * 4


@pytest.mark.parametrize(
    ("multiplier", "depths"),
    [(0.25, (1, 1, 1)), (0.34, (1, 1, 1)), (0.5, (2, 2, 1)), (1.5, (5, 6, 3)), (2, (6, 8, 4))],
)
def test_depths(multiplier: float, depths: tuple[int, int, int]) -> None:
    assert dataclasses.replace(RESEPTION_V1, depth_multiplier=multiplier).scaled().depths == depths


@pytest.mark.parametrize("width", [0.125, 0.3, 1.1])
@pytest.mark.parametrize("base", [RESEPTION_V1, RESEPTION_V2])
def test_scaled_networks_run_at_the_smallest_and_the_largest_size(
    base: ReseptionConfig, width: float
) -> None:
    for size in (75, 600):
        config = dataclasses.replace(base, width_multiplier=width, depth_multiplier=0.25, input_size=size)
        model = Reseption(config).to("meta").eval()
        assert model(torch.empty(1, 3, size, size, device="meta")).shape == (1, 1)


def test_named_variants() -> None:
    assert {"reseption_v1", "reseption_v2", "reseption_ensemble"} <= set(list_models())
    assert list_models("*v2*") == [name for name in list_models() if "v2" in name]
    assert list_models("nothing") == []
    deep = model_entry("reseption_v1_deep").config
    assert isinstance(deep, ReseptionConfig)
    assert deep.scaled().depths == (6, 8, 4)
    tiny = create_model("reseption_ensemble_tiny", width_multiplier=0.125, features=16, final_drop_rate=0.1)
    assert (tiny.head_hidden_size, tiny.head_drop.p) == (32, 0.1)
    assert tiny.members[0].config.width_multiplier == 0.125
