"""Ensembles of members of any kind."""

from typing import Any

import pytest
import timm
import torch
from torch import nn

from reseption_models import ModelCard, ReseptionEnsemble, create_model, from_pretrained, save_pretrained


def test_the_thesis_ensemble_by_hand(settle: Any, noise: Any) -> None:
    """Two trained networks in, and the formula of Figure 7.7 written with functions alone."""
    torch.manual_seed(2)
    x = noise(2, 107)
    members = [settle(create_model(name), x) for name in ("reseption_v1", "reseption_v2")]
    ensemble = ReseptionEnsemble(members).eval()
    assert sum(parameter.numel() for parameter in ensemble.parameters()) == 34_096_865
    with torch.no_grad():
        parts = []
        for member, head in zip(members, ensemble.heads, strict=True):
            pooled = member.forward_features(x).flatten(2).mean(2)
            parts.append(pooled @ head[1].weight.T + head[1].bias)
        expected = torch.cat(parts, 1) @ ensemble.fc.weight.T + ensemble.fc.bias
        torch.testing.assert_close(ensemble(x), expected, rtol=1e-4, atol=1e-5)
    assert all(member.num_classes == 1 for member in members), "the networks passed in must stay as they are"
    assert all(parameter.requires_grad for parameter in members[0].parameters())


def test_three_members_of_different_sizes(noise: Any, tmp_path: Any) -> None:
    members = [
        create_model("reseption_v1_tiny"),
        create_model("reseption_v2_tiny", width_multiplier=0.125),
        create_model("reseption_v1_tiny", depth_multiplier=0.5),
    ]
    ensemble = ReseptionEnsemble(members, num_classes=2, features=32).eval()
    assert ensemble.head_hidden_size == 96
    assert ensemble.feature_info.channels()[-1] == sum(member.num_features for member in members)
    x = noise(2, 128)
    with torch.no_grad():
        expected = ensemble(x)
        assert expected.shape == (2, 2)
        save_pretrained(ensemble, tmp_path)
        assert torch.equal(from_pretrained(tmp_path)(x), expected)


def test_an_ensemble_and_a_timm_network_as_members(noise: Any) -> None:
    torch.manual_seed(0)
    members = [
        create_model("reseption_ensemble_tiny"),
        timm.create_model("resnet10t"),
        timm.create_model("vit_tiny_patch16_224"),
    ]
    with pytest.raises(ValueError, match=r"inputs differ in \(mean, std, color\)"):
        ReseptionEnsemble(members)
    ensemble = ReseptionEnsemble(members, card=ModelCard(mean=(0.4, 0.5, 0.6))).train()
    assert ensemble.pretrained_cfg["mean"] == (0.4, 0.5, 0.6)
    assert not any(module.training for body in ensemble.members for module in body.modules())
    assert ensemble.pretrained_cfg["label_names"] == ("real", "fake")
    x = nn.functional.interpolate(noise(2, 128), 224)
    ensemble(x).sum().backward()
    graded = {name for name, parameter in ensemble.named_parameters() if parameter.grad is not None}
    assert graded == {
        f"{head}.{part}"
        for head in ("heads.0.1", "heads.1.1", "heads.2.1", "fc")
        for part in ("weight", "bias")
    }
    with pytest.raises(ValueError, match="no feature maps in common"):
        ensemble.forward_intermediates(x)
    with pytest.raises(ValueError, match=r"nothing to fuse"):
        from reseption_models import fuse

        fuse(members[1])


def test_what_cannot_be_a_member() -> None:
    with pytest.raises(ValueError, match="two or more members, not 1"):
        ReseptionEnsemble([create_model("reseption_v1_tiny")])
    with pytest.raises(
        ValueError, match="a Linear cannot be a member; allowed: networks with reset_classifier"
    ):
        ReseptionEnsemble([nn.Linear(2, 2), nn.Linear(2, 2)])
