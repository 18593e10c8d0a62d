"""Which of a classifier's labels mean fake, by their words."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dfd_train.errors import UserError

_FAKE = {
    *(
        "fake",
        "fakes",
        "faked",
        "deepfake",
        "deepfakes",
        "df",
        "ai",
        "aigc",
        "aigenerated",
        "artificial",
        "generated",
    ),
    *("synthetic", "forged", "manipulated", "tampered", "spoof", "altered", "diffusion", "gan"),
}
_REAL = {
    *("real", "reals", "realism", "human", "hum", "authentic", "genuine", "original", "bonafide", "natural"),
    *("pristine", "photo", "camera", "untouched"),
}
_NOT = {"not", "non", "no", "un", "anti"}


def fake_outputs(labels: Sequence[str], wanted: Sequence[str]) -> tuple[int, ...]:
    """Returns which outputs mean fake: those asked for, by label or number, or else those whose labels say so.

    Raises: UserError that asks, where the words don't say it of each.
    """
    lower = [label.lower() for label in labels]
    if wanted:
        numbers = {str(index) for index in range(len(labels))}
        for one in wanted:
            if one.lower() not in lower and one not in numbers:
                raise UserError(
                    f"--fake {one}: allowed are {', '.join(labels)}, or numbers up to {len(labels) - 1}"
                )
        return tuple(
            sorted({lower.index(one.lower()) if one.lower() in lower else int(one) for one in wanted})
        )
    means = [_means_fake(label) for label in labels]
    if None in means or True not in means or False not in means:
        shown = ", ".join(label.encode("unicode_escape").decode()[:40] for label in labels[:10])
        raise UserError(
            f"its labels don't say which mean fake ({shown}): --fake LABEL, as often as there are such labels"
        )
    return tuple(index for index, fake in enumerate(means) if fake)


def _means_fake(label: str) -> bool | None:
    """Returns whether a label's words mean fake; None where they don't say, or say both."""
    words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", label).lower())
    fake, real = (any(word in known for word in words) for known in (_FAKE, _REAL))
    return None if fake == real or _NOT & set(words) else fake
