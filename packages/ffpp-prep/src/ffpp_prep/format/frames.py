"""Which frames of a video training and evaluation ask for (thesis section 4.3).

dfd-train has the same formulas for the reading side; tests/test_contract.py holds the two together.
"""

from __future__ import annotations

FRAME_STEP = 8  # n of the thesis
FIRST_EVALUATION_FRAME = 10
EVALUATION_FRAMES = {"val": 7, "test": 12}


def training_frame(epoch: int, total_epochs: int, length: int) -> int:
    """The frame that *various* batches take from a video in an epoch.

    Args:
        epoch: from 1.
        total_epochs: of the whole training.
        length: frames in the video, at least 1.
    """
    span = max(1, length - total_epochs)
    return min((FRAME_STEP * epoch) % span + FRAME_STEP * epoch // length, length - 1)


def evaluation_frames(count: int, length: int) -> list[int]:
    """`count` equally spaced frames; in videos too short for the thesis's start at frame 10, over the whole length."""
    if length < FIRST_EVALUATION_FRAME + count:
        return [i * length // count for i in range(count)]
    step = (length - FIRST_EVALUATION_FRAME) // count
    return [FIRST_EVALUATION_FRAME + i * step for i in range(count)]


def spaced_frames(count: int, length: int) -> list[int]:
    """At most `count` equally spaced frames over the whole length, each once."""
    return sorted({i * length // count for i in range(count)})


def asked_for(split: str, epochs: int, length: int) -> list[int]:
    """Every frame that `epochs` epochs of training, or the evaluation of its split, will ask a video for.

    Videos of no split, or of `unused`, are asked for none.
    """
    if split in EVALUATION_FRAMES:
        return sorted(set(evaluation_frames(EVALUATION_FRAMES[split], length)))
    if split != "train":
        return []
    return sorted({training_frame(epoch, epochs, length) for epoch in range(1, epochs + 1)})
