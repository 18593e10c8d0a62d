"""The last layer of a network: over features of length 1, and what it is given."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from dfd_train.errors import UserError
from dfd_train.models.levels import classifier_of

__all__ = ["FeatureTap", "NormalizedHead", "normalize_head"]


class NormalizedHead(nn.Module):
    """A classifier of features whose length is made 1: only their direction tells real from fake (arXiv 2508.06248)."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, features: Tensor) -> Tensor:
        """Returns the logits (N, 1) of features (N, D)."""
        logits: Tensor = self.linear(functional.normalize(features, dim=-1))
        return logits


def normalize_head(network: nn.Module, name: str) -> None:
    """Puts the network's linear classifier behind a normalisation, in place.

    Raises:
        UserError: its classifier isn't one linear layer.
    """
    classifier = classifier_of(network)
    if not isinstance(classifier, nn.Linear):
        found = (
            "no get_classifier()"
            if classifier is None
            else f"a {type(classifier).__name__} as its classifier"
        )
        raise UserError(f"normalized_head needs one linear layer at the end; {name} has {found}")
    place = next(path for path, module in network.named_modules() if module is classifier)
    network.set_submodule(place, NormalizedHead(classifier))


class FeatureTap:
    """The features that a network's classifier was given last, (N, D), after dropout."""

    def __init__(self, network: nn.Module, name: str) -> None:
        classifier = classifier_of(network)
        if classifier is None:
            raise UserError(f"{name} has no get_classifier(), so that a loss can't see its features")
        self._seen: Tensor | None = None
        classifier.register_forward_pre_hook(self._see)

    def take(self) -> Tensor:
        """Returns them and keeps them no longer."""
        seen, self._seen = self._seen, None
        assert seen is not None, "the network has not run"
        return seen.flatten(1)

    def _see(self, _: nn.Module, given: tuple[Tensor, ...]) -> None:
        self._seen = given[0]
