"""What training makes smaller: a loss of each crop's logit, and terms over the features of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from dfd_train.errors import TrainingError
from dfd_train.models.build import imported
from dfd_train.models.head import FeatureTap
from dfd_train.models.trust import check_trust, names_function
from dfd_train.settings.sections import LossConfig

Function = Callable[[Tensor, Tensor, Tensor], Tensor]
SPREAD = 2.0
"""t of the uniformity (Wang and Isola, arXiv 2005.10242)"""
NEAREST = 1e-6  # of a mean in a logarithm


class Loss:
    """The loss of a batch, crop by crop; terms over the batch are added to each, so that their mean keeps its meaning.

    Recorded losses, the plateau's and the tables', are always the plain log loss of the logits: runs stay comparable.
    """

    def __init__(self, config: LossConfig, network: nn.Module, model: str, trust: Sequence[str] = ()) -> None:
        """Prepares it.

        Args:
            config: which loss and which terms.
            network: whose features the terms see. One process of several sees its own share of a batch.
            model: its name, for errors.
            trust: functions `package.module:function` that may be imported.

        Raises:
            UserError: an unknown function or one that nobody trusts; a network that doesn't tell its features.
        """
        self._config = config
        self._function: Function | None = None
        if names_function(config.name):
            check_trust(Path("loss.name"), [config.name], trust)
            self._function = imported(config.name, "loss")
        wants_features = config.alignment or config.uniformity or config.contrastive or self._function
        self._features = FeatureTap(network, model) if wants_features else None

    @property
    def sees_features(self) -> bool:
        """Whether it looks at what the network's classifier was given."""
        return self._features is not None

    def __call__(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Returns the loss of each crop, (N,) float32.

        Args:
            logits: (N,) float32, right after the network's forward pass.
            labels: (N,) float32, 1 is fake.

        Raises:
            TrainingError: a function of the user's returns another shape.
        """
        features = None if self._features is None else self._features.take().float()
        if self._function is not None:
            assert features is not None
            found = self._function(logits, labels, features)
            if not isinstance(found, Tensor) or found.shape != logits.shape:
                shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
                raise TrainingError(
                    f"loss {self._config.name} returned {shape}, must be {tuple(logits.shape)}"
                )
            losses = found
        else:
            losses = self._of_logits(logits, labels)
        if features is not None:
            losses = losses + self._of_features(functional.normalize(features), labels)
        return losses

    def _of_logits(self, logits: Tensor, labels: Tensor) -> Tensor:
        smoothing, gamma = self._config.smoothing, self._config.focal_gamma
        targets = labels * (1 - smoothing) + smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        if self._config.name == "focal":
            right = torch.sigmoid(torch.where(labels > 0.5, logits, -logits))
            losses = losses * (1 - right) ** gamma
        return losses

    def _of_features(self, directions: Tensor, labels: Tensor) -> Tensor:
        """Returns the terms over a batch of unit vectors, one number or one a crop."""
        total = directions.new_zeros(len(directions))
        if len(directions) < 2:
            return total
        if self._config.alignment:
            total = total + self._config.alignment * alignment(directions, labels)
        if self._config.uniformity:
            total = total + self._config.uniformity * uniformity(directions)
        if self._config.contrastive:
            total = total + self._config.contrastive * contrastive(
                directions, labels, self._config.temperature
            )
        return total


def alignment(directions: Tensor, labels: Tensor) -> Tensor:
    """Returns the mean squared distance of pairs of one label (arXiv 2005.10242, with labels as arXiv 2508.06248).

    Args:
        directions: (N, D) unit vectors.
        labels: (N,).
    """
    first, second = torch.triu_indices(len(directions), len(directions), 1, device=directions.device)
    alike = labels[first] == labels[second]
    distances = (directions[first] - directions[second]).square().sum(1)
    return (distances * alike).sum() / alike.sum().clamp(min=1)


def uniformity(directions: Tensor) -> Tensor:
    """Returns log E exp(-2 d²) over pairs of (N, D) unit vectors: small where they are spread (arXiv 2005.10242)."""
    return torch.pdist(directions).square().mul(-SPREAD).exp().mean().clamp(min=NEAREST).log()


def contrastive(directions: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Returns the supervised contrastive loss of each of (N, D) unit vectors (Khosla et al., arXiv 2004.11362, Eq. 2).

    0 for a crop that is alone with its label.
    """
    itself = torch.eye(len(directions), dtype=torch.bool, device=directions.device)
    similar = (directions @ directions.T / temperature).masked_fill(itself, -torch.inf)
    chances = similar.log_softmax(1).masked_fill(itself, 0.0)
    alike = (labels[:, None] == labels) & ~itself
    return -(chances * alike).sum(1) / alike.sum(1).clamp(min=1)
