"""Explanations against what the network really computes, and scores against masks counted by hand."""

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from dfd_train.data.fitting import normalize, resize
from dfd_train.data.spec import InputSpec
from dfd_train.errors import NotANumber
from dfd_train.explain.attribution import (
    SIDE,
    Attribution,
    Sampling,
    gradcam,
    lime,
    occlusion,
    steps,
    superpixels,
)
from dfd_train.explain.curves import curves
from dfd_train.explain.figure import overlay, strongest
from dfd_train.explain.layers import last_maps
from dfd_train.explain.score import enlarge, mask_score
from dfd_train.models.baselines import BASELINES
from dfd_train.models.build import Detector
from reseption_models import ReseptionEnsemble, create_model

CPU = torch.device("cpu")
SIZE = 64


class Squares(nn.Module):
    """A logit that adds up the squares of pixels, each with its weight: linear in parts that are painted over."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, x: Tensor) -> Tensor:
        return (self.weight * x.square()).sum((1, 2, 3)).unsqueeze(1)


def detector(network: nn.Module, size: int = SIZE) -> Detector:
    return Detector(network.eval(), InputSpec(size))


def crop(seed: int = 0, side: int = 80) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)


def grid(parts: int) -> np.ndarray:
    """parts x parts equal squares, numbered from 0."""
    place = np.arange(SIDE) * parts // SIDE
    return np.add.outer(parts * place, place)


def squares() -> Squares:
    return Squares(torch.rand(1, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)) / 100 - 0.005)


def test_lime_finds_the_weight_of_every_part():
    network, picture, segments = squares(), crop(), grid(4)
    found = lime(detector(network), picture, Sampling(segments, 600, seed=3), device=CPU)
    image = normalize(resize(picture, SIZE), InputSpec(SIZE))[None]
    scaled = torch.nn.functional.interpolate(
        torch.from_numpy(segments).float()[None, None], (SIZE, SIZE), mode="nearest-exact"
    )[0, 0]
    for part in range(16):
        place = scaled == part
        painted = image.clone()
        painted[:, :, place] = image[:, :, place].mean(2, keepdim=True)
        effect = float(network(image) - network(painted))
        values = found.values[segments == part]
        assert np.ptp(values) == 0
        assert values[0] == pytest.approx(effect, rel=0.08, abs=0.02), part


def test_lime_repeats_itself_by_seed():
    picture = crop(1)
    segments = superpixels(picture)
    network = detector(create_model("reseption_v1", width_multiplier=0.125, input_size=75), 75)
    runs = [lime(network, picture, Sampling(segments, 40, seed), device=CPU).values for seed in (5, 5, 6)]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_superpixels_are_all_of_the_picture():
    segments = superpixels(crop(2))
    assert segments.shape == (SIDE, SIDE)
    assert np.array_equal(np.unique(segments), np.arange(segments.max() + 1))


def test_occlusion_is_how_far_the_logit_falls():
    network, picture = squares(), crop(3)
    found = occlusion(detector(network), picture, device=CPU)
    image = normalize(resize(picture, SIZE), InputSpec(SIZE))[None]
    covered = image.clone()
    covered[:, :, :9, :9] = image.mean((2, 3))[:, :, None, None]  # a seventh of the side
    fall = float(network(image) - network(covered))
    assert found.values[0, 0] == pytest.approx(fall, rel=1e-4)  # only this square covers the corner


def test_occlusion_sees_as_many_pictures_as_announced():
    for size in (32, 64, 75, 100):
        seen: list[int] = []
        network = detector(Squares(torch.ones(1, 1, size, size)), size)
        occlusion(network, crop(), device=CPU, progress=seen.append)
        assert sum(seen) == steps("occlusion", network, 0)


class Pooled(nn.Module):
    """Feature maps, their mean, a linear layer: Grad-CAM has a closed form."""

    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Sequential(nn.Conv2d(3, 5, 3, stride=8, padding=1), nn.ReLU(inplace=True))
        self.linear = nn.Linear(5, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.maps(x).mean((2, 3)))


def test_gradcam_has_its_closed_form():
    network, picture = Pooled(), crop(4)
    with torch.no_grad():
        maps = network.maps(normalize(resize(picture, SIZE), InputSpec(SIZE))[None])
        mean = maps.mean((0, 2, 3))  # weights across it: the heat sums up to zero, so it has both signs
        network.linear.weight -= (network.linear.weight @ mean) / (mean @ mean) * mean
    found = gradcam(detector(network), picture, device=CPU)
    with torch.no_grad():
        maps = network.maps(normalize(resize(picture, SIZE), InputSpec(SIZE))[None])
        weights = network.linear.weight[0] / maps[0, 0].numel()
        small = (weights.view(1, -1, 1, 1) * maps).sum(1, keepdim=True)
        expected = torch.nn.functional.interpolate(small, (SIDE, SIDE), mode="bilinear")[0, 0].numpy()
    assert expected.min() < 0 < expected.max()
    np.testing.assert_allclose(found.values, expected, atol=1e-6)


def test_gradcam_of_an_ensemble_adds_its_members_up():
    members = [
        create_model(name, width_multiplier=0.125, depth_multiplier=0.34, input_size=107)
        for name in ("reseption_v1", "reseption_v2")
    ]
    ensemble = ReseptionEnsemble(members).eval()
    image = torch.rand(1, 3, 107, 107)
    layers = last_maps(ensemble, image)
    assert [layer is member.stage_c for layer, member in zip(layers, ensemble.members, strict=True)] == [
        True
    ] * 2
    found = gradcam(detector(ensemble, 107), crop(5), device=CPU)
    assert np.isfinite(found.values).all() and np.ptp(found.values) > 0


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_gradcam_looks_at_the_last_feature_map_of_the_baselines(name):
    """The network's own `forward_features` says which one that is."""
    torch.manual_seed(0)
    network = timm.create_model(BASELINES[name].timm_name, num_classes=1).eval()
    image = torch.rand(1, 3, 139, 139)
    (layer,) = last_maps(network, image)
    kept: list[Tensor] = []
    handle = layer.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        expected = network.forward_features(image)
    handle.remove()
    assert torch.equal(kept[0], expected)
    values = gradcam(detector(network, 139), crop(6), device=CPU).values
    assert np.isfinite(values).all() and np.ptp(values) > 0


def test_gradcam_needs_a_map():
    network = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 1))
    with pytest.raises(ValueError, match="Grad-CAM needs a feature map, and this Sequential has none"):
        gradcam(detector(network), crop(), device=CPU)
    transformer = timm.create_model("test_vit", num_classes=1)  # its only maps are those of its patches
    with pytest.raises(ValueError, match="this VisionTransformer has none"):
        gradcam(detector(transformer, 160), crop(), device=CPU)


def quarter(value: float) -> np.ndarray:
    values = np.zeros((SIDE, SIDE), np.float32)
    values[: SIDE // 2, : SIDE // 2] = value
    return values


def test_the_score_of_single_pixels():
    mask = np.zeros((SIDE, SIDE), bool)
    mask[: SIDE // 2] = True  # the upper half
    values = quarter(2.0)
    values[-10:, -10:] = 3.0  # below
    values[SIDE // 2 :, : SIDE // 2] = -9.0  # speaks for real: counts nowhere
    score = mask_score(Attribution("occlusion", values, None), mask)
    inside = 2.0 * (SIDE // 2) ** 2
    assert score.inside == pytest.approx(inside / (inside + 300))
    assert score.inside_by_chance == pytest.approx((SIDE // 2) / SIDE)
    assert (score.hit, score.hit_by_chance) == (0.0, pytest.approx((SIDE // 2) / SIDE))


def test_the_score_of_superpixels_counts_each_weight_once():
    """Two superpixels of very different size: the weight is that of the superpixel, not of its pixels."""
    segments = np.ones((SIDE, SIDE), np.int64)
    segments[:10] = 0
    mask = segments == 0
    values = np.where(segments == 0, 3.0, 1.0).astype(np.float32)
    score = mask_score(Attribution("lime", values, segments), mask)
    assert score.inside == pytest.approx(0.75)
    assert (score.inside_by_chance, score.hit, score.hit_by_chance) == (0.5, 1.0, 0.5)


def test_chance_is_the_mean_over_shuffled_weights():
    random = np.random.default_rng(0)
    segments = superpixels(crop(7))
    mask = np.zeros((120, 90), bool)
    mask[30:80, 20:70] = True
    weights = random.normal(size=segments.max() + 1).astype(np.float32)
    scores = []
    for _ in range(300):
        shuffled = random.permutation(weights)
        scores.append(mask_score(Attribution("lime", shuffled[segments], segments), mask))
    assert np.mean([s.inside for s in scores]) == pytest.approx(scores[0].inside_by_chance, rel=0.05)
    assert np.mean([s.hit for s in scores]) == pytest.approx(scores[0].hit_by_chance, rel=0.3)


def test_what_has_no_score():
    full = np.ones((8, 8), bool)
    assert mask_score(Attribution("gradcam", quarter(1.0), None), None) is None
    assert mask_score(Attribution("gradcam", quarter(1.0), None), ~full) is None
    assert mask_score(Attribution("gradcam", quarter(-1.0), None), full) is None
    assert mask_score(Attribution("gradcam", quarter(1.0), None), full).inside == 1.0


def test_a_mask_keeps_its_place_when_enlarged():
    mask = np.zeros((SIDE // 13, SIDE // 13), bool)
    mask[3, 5] = True
    assert np.array_equal(np.argwhere(enlarge(mask)).mean(0), [3 * 13 + 6, 5 * 13 + 6])


def test_ten_strongest_are_tinted_red_and_green():
    segments = grid(5)
    weights = np.linspace(-1, 1, 25, dtype=np.float32)  # the strongest: 0 to 4 and 20 to 24
    explanation = Attribution("lime", weights[segments], segments)
    assert sorted(strongest(explanation)) == [0, 1, 2, 3, 4, 20, 21, 22, 23, 24]
    grey = np.full((SIDE, SIDE, 3), 128, np.uint8)
    drawn = overlay(grey, explanation).astype(int)
    middle = SIDE // 10  # of a square
    red, green, blue = drawn[SIDE - middle, middle]
    assert red > 150 and green < 100 and blue < 100
    red, green, blue = drawn[middle, middle]
    assert green > 130 and red < 100 and blue < 110
    assert np.array_equal(drawn[SIDE // 2, SIDE // 2], [128] * 3)


class NumbersWhereWhole(nn.Module):
    """A logit for the picture as it is, none for one that parts of are covered."""

    def __init__(self, whole: Tensor) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, x: Tensor) -> Tensor:
        logits = x.square().sum((1, 2, 3))  # a mean colour in place of a part changes it
        return torch.where((logits - self.whole).abs() < 1e-3, logits, torch.nan).unsqueeze(1)


@pytest.mark.parametrize("method", ["lime", "occlusion", "curves"])
def test_what_is_no_number_for_a_covered_picture_is_told_as_such(method) -> None:
    picture = crop()
    spec = InputSpec(SIZE)
    whole = normalize(resize(picture, SIZE), spec).square().sum()
    blind = Detector(NumbersWhereWhole(whole).eval(), spec)
    assert np.isfinite(blind.network(normalize(resize(picture, SIZE), spec)[None]).item())
    with pytest.raises(NotANumber, match="where parts of the picture are covered"):
        if method == "lime":
            lime(blind, picture, Sampling(grid(4), 20, seed=0), device=CPU)
        elif method == "occlusion":
            occlusion(blind, picture, device=CPU)
        else:
            curves(blind, picture, np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE), CPU)
