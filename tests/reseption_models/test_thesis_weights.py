"""Checkpoints of the thesis's own program become ours."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from thesis_program import ThesisEnsemble, ThesisNetwork
from torch import Tensor, nn

from reseption_models import create_model, load_checkpoint

TINY = "reseption_v1_tiny"


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("reseption_v1", lambda: ThesisNetwork(1)),
        ("reseption_v2", lambda: ThesisNetwork(2)),
        ("reseption_ensemble", ThesisEnsemble),
    ],
)
def test_thesis_checkpoints_become_ours(
    name: str,
    make: Callable[[], nn.Module],
    settle: Callable[[nn.Module, Tensor], nn.Module],
    perturb: Callable[[nn.Module], nn.Module],
    noise: Callable[..., Tensor],
    tmp_path: Path,
) -> None:
    """What that program says of a BGR image, with 1 = real, ours says negated of the RGB image."""
    torch.manual_seed(5)
    rgb = noise(2, 107)
    bgr = rgb.flip(1)
    theirs = perturb(settle(make(), bgr))
    path = tmp_path / "thesis.pth"
    torch.save(
        {"model_state_dict": {f"module.{key}": value for key, value in theirs.state_dict().items()}}, path
    )
    ours = create_model(name, checkpoint_path=path).eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(rgb), -theirs(bgr), rtol=1e-4, atol=1e-4)
        assert not torch.allclose(ours(rgb), -theirs(rgb), atol=1e-3)
    assert sum(p.numel() for p in theirs.parameters()) == sum(p.numel() for p in ours.parameters())


def test_a_strange_name_in_a_thesis_checkpoint_is_named(tmp_path: Path) -> None:
    state = {"Conv2d_1a_3x3.conv.weight": torch.zeros(32, 3, 3, 3), "Mixed_5b.conv.weight": torch.zeros(1)}
    torch.save(state, tmp_path / "inception.pth")
    with pytest.raises(ValueError, match=r"'Mixed_5b.conv.weight' is no parameter of the thesis's program"):
        load_checkpoint(create_model(TINY), tmp_path / "inception.pth")
