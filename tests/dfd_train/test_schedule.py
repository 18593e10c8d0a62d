"""The learning rate against its product, and the plateau against torch's own scheduler."""

import math

import numpy as np
import pytest
import torch

from dfd_train.optim.schedule import LearningRate
from dfd_train.settings.config import ScheduleConfig


def losses(epochs: int) -> np.ndarray:
    """A noisy, ever flatter descent: it has plateaus."""
    random = np.random.default_rng(0)
    return 0.7 * np.exp(-np.arange(epochs) / 6) + 0.05 * random.random(epochs)


def test_the_thesis_product_holds_at_every_step():
    rate = LearningRate(ScheduleConfig(), 1e-3, 50)
    best, bad, reductions = math.inf, 0, 0
    for done, loss in enumerate(losses(50)):
        for within in (0.0, 0.3, 0.99):
            assert rate.at(done + within) == pytest.approx(
                1e-3 * 0.94 ** (done // 2) * 0.5**reductions, rel=1e-12
            )
        rate.observe(float(loss))
        if loss < best * (1 - 1e-4):
            best, bad = loss, 0
        else:
            bad += 1
        if bad > 2:
            reductions, bad = reductions + 1, 0
    assert reductions >= 3


def test_plateau_reduces_when_torch_does():
    config = ScheduleConfig(curve="constant", plateau_factor=0.3, plateau_patience=1)
    rate = LearningRate(config, 1.0, 40)
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.3, patience=1)
    for done, loss in enumerate(losses(40)):
        assert (
            rate.at(done) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9) or rate.at(done) < 1e-7
        )
        rate.observe(float(loss))
        scheduler.step(loss)


def test_state_goes_on_where_it_was():
    straight, first = (LearningRate(ScheduleConfig(), 1e-3, 50) for _ in range(2))
    second = LearningRate(ScheduleConfig(), 1e-3, 50)
    values = losses(50)
    for loss in values:
        straight.observe(loss)
    for loss in values[:23]:
        first.observe(loss)
    second.load_state_dict(first.state_dict())
    for loss in values[23:]:
        second.observe(loss)
    assert second.at(50) == straight.at(50) != LearningRate(ScheduleConfig(), 1e-3, 50).at(50)


def test_linear_falls_to_0_from_a_share_of_the_epochs_on():
    whole = LearningRate(ScheduleConfig(curve="linear", plateau=False), 2.0, 10)
    assert [whole.at(x) for x in (0, 5, 10)] == pytest.approx([2.0, 1.0, 0.0])
    late = LearningRate(ScheduleConfig(curve="linear", linear_from=0.75, plateau=False), 2.0, 100)
    assert [late.at(x) for x in (0, 75, 76, 99, 100)] == pytest.approx([2.0, 2.0, 1.92, 0.08, 0.0])


def test_cosine_constant_and_warm_up():
    cosine = LearningRate(ScheduleConfig(curve="cosine", plateau=False), 2.0, 10)
    assert [cosine.at(x) for x in (0, 5, 10)] == pytest.approx([2.0, 1.0, 0.0])
    constant = LearningRate(ScheduleConfig(curve="constant", plateau=False), 2.0, 10)
    constant.observe(1.0)
    assert {constant.at(x) for x in range(10)} == {2.0}
    warm = LearningRate(ScheduleConfig(curve="constant", plateau=False, warmup_epochs=4), 1.0, 10)
    ramp = [warm.at(x / 10) for x in range(41)]
    assert 0 < ramp[0] < 0.01 and ramp[-1] == 1.0
    assert np.allclose(np.diff(ramp[:-1]), 0.025)
