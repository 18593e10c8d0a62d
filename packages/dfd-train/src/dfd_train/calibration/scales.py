"""Monotone maps from a video's value, on the logit scale, to the probability of fake: temperature, Platt, isotonic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy.optimize import isotonic_regression, minimize, minimize_scalar

from dfd_train.metrics.scores import Floats, sigmoid

Method = Literal["temperature", "platt", "isotonic"]
METHODS: tuple[Method, ...] = get_args(Method)
"""the simpler ones first"""
TEMPERATURES = (0.05, 20.0)
"""what is searched; an answer at an end of it is none"""
_CERTAIN = 1e-12
_IN_ORDER = 1e-3


@dataclass(frozen=True)
class Scale:
    """Probability of fake of a value x: sigmoid(slope * x + shift); isotonic: straight lines between knots.

    Isotonic regression is flat in places. A thousandth of a gentle slope on it keeps the order of what it would make
    equal: else the file that a verdict's limit tells from another would print the same probability.
    """

    method: Method = "temperature"
    slope: float = 1.0
    shift: float = 0.0
    knots: tuple[tuple[float, float], ...] = ()
    """of isotonic: (value, probability), both ascending; beyond the ends the probability stays, but for the slope"""
    failed: str = ""
    """why this is no calibration; empty where it is one"""

    @property
    def temperature(self) -> float:
        """What divides the value; of isotonic, which has none, 1."""
        return 1.0 / self.slope if self.slope > 0 else float("inf")

    def probs(self, value: Floats) -> Floats:
        """Returns the probabilities of values (N,)."""
        if self.method == "isotonic":
            x, y = np.array(self.knots, np.float64).T
            between: Floats = np.interp(value, x, y)
            return (1 - _IN_ORDER) * between + _IN_ORDER * sigmoid(np.asarray(value) / TEMPERATURES[1])
        return sigmoid(self.slope * value + self.shift)


def fit_scale(method: Method, value: Floats, fake: np.ndarray) -> Scale:
    """Returns the scale of smallest cross-entropy over videos: their values (V,) and which are fakes, (V,) bool.

    Real and fake weigh alike, so that a probability holds where both are equally likely beforehand. Targets are
    Platt's (1999), a little inside 0 and 1: without that a small set that the model separates would make every
    number certain. Temperature: Guo et al. 2017. Isotonic regression: Zadrozny and Elkan 2002.
    """
    target, weight = targets(fake), class_weights(fake)
    if method == "temperature":
        return _temperature(value, target, weight)
    if method == "platt":
        return _platt(value, target, weight)
    return _isotonic(value, target, weight)


def targets(fake: np.ndarray) -> Floats:
    """Returns Platt's targets: what a video of each class is taken to be, (V,)."""
    fakes, reals = int(fake.sum()), int((~fake).sum())
    target: Floats = np.where(fake, (fakes + 1) / (fakes + 2), 1 / (reals + 2))
    return target


def class_weights(fake: np.ndarray) -> Floats:
    """Returns weights (V,) of sum 1 with which both classes weigh alike."""
    weight: Floats = np.where(fake, 0.5 / max(fake.sum(), 1), 0.5 / max((~fake).sum(), 1))
    return weight


def cross_entropies(scale: Scale, value: Floats, target: Floats) -> Floats:
    """Returns each video's cross-entropy in nats, (V,)."""
    prob = scale.probs(value).clip(_CERTAIN, 1 - _CERTAIN)
    entropies: Floats = -(target * np.log(prob) + (1 - target) * np.log1p(-prob))
    return entropies


def at_an_end(temperature: float) -> str:
    """Returns what it means that the search ended at an end of `TEMPERATURES`; empty where it didn't."""
    low, high = TEMPERATURES
    if low * 1.001 < temperature < high / 1.001:
        return ""
    backwards = "its scores tell real from fake hardly, or the wrong way round"
    which = backwards if temperature > 1 else "its scores hardly differ from one another"
    return f"the temperature is at the end of its range, {temperature:.3g}: {which}"


def _temperature(value: Floats, target: Floats, weight: Floats) -> Scale:
    low, high = (float(np.log(end)) for end in TEMPERATURES)

    def loss(log_temperature: float) -> float:
        z = value * np.exp(-log_temperature)
        return float(weight @ (np.logaddexp(0.0, z) - target * z))

    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)
    temperature = float(np.exp(found))
    return Scale("temperature", 1.0 / temperature, failed=at_an_end(temperature))


def _platt(value: Floats, target: Floats, weight: Floats) -> Scale:
    spread = float(np.std(value)) or 1.0
    z = value / spread

    def loss(at: Floats) -> tuple[float, Floats]:
        line = at[0] * z + at[1]
        residual = weight * (sigmoid(line) - target)
        value_ = float(weight @ (np.logaddexp(0.0, line) - target * line))
        return value_, np.array([residual @ z, residual.sum()])

    slope, shift = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS").x
    failed = "" if slope > 0 else "its scores tell real from fake the wrong way round"
    return Scale("platt", max(float(slope), 0.0) / spread, float(shift), failed=failed)


def _isotonic(value: Floats, target: Floats, weight: Floats) -> Scale:
    x, place = np.unique(value, return_inverse=True)
    total = np.bincount(place, weight)
    fitted = isotonic_regression(np.bincount(place, weight * target) / total, weights=total).x
    # of a flat part its two ends say everything
    ends = np.ones(len(x), bool)
    ends[1:-1] = (np.diff(fitted)[:-1] != 0) | (np.diff(fitted)[1:] != 0)
    knots = tuple(zip(x[ends].tolist(), fitted[ends].tolist(), strict=True))
    failed = "" if fitted[-1] > fitted[0] else "its scores tell real from fake the wrong way round"
    return Scale("isotonic", knots=knots, failed=failed)
