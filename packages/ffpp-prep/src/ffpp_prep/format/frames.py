"""Which frames of a video training and evaluation ask for: the formulas of thesis section 4.3, short videos included.

`epoch` counts from 1, `length` is the number of decodable frames, indices are 0-based; a length stands before a count.
The formulas also return how many indices are substitutes, that is, not what the thesis's formula yields because the
video is too short for it.
"""

from __future__ import annotations

from ffpp_prep.errors import UserError
from ffpp_prep.format.segments import Ranges, frame_at

__all__ = [
    "BENCHMARK_FRAMES",
    "EVALUATION_FRAMES",
    "FRAME_STEP",
    "PRESET_EPOCHS",
    "PRESET_PAIRS",
    "altered_dual_frames",
    "altered_frame",
    "asked_for",
    "benchmark_frames",
    "dual_frames",
    "evaluation_frames",
    "spaced_frames",
    "various_frame",
]

FRAME_STEP = 8  # n of the thesis
FIRST_EVALUATION_FRAME = 10
EVALUATION_FRAMES = {"val": 7, "test": 12}
BENCHMARK_FRAMES = 32  # of each test video, in DeepfakeBench
PRESET_EPOCHS = (14, 30, 50)  # of the thesis's runs; those with dual batches take the last
PRESET_PAIRS = 12  # frames of each video in one of their dual batches


def various_frame(epoch: int, length: int, total_epochs: int, stride: int = FRAME_STEP) -> tuple[int, int]:
    """Returns the one frame of a video in an epoch of *various* batches.

    `(stride * epoch) mod (length - total_epochs) + floor(stride * epoch / length)`, section 4.3.1.
    """
    _check_length(length)
    span = max(1, length - total_epochs)
    frame = (stride * epoch) % span + (stride * epoch) // length
    return min(frame, length - 1), int(length - total_epochs < 1 or frame > length - 1)


def dual_frames(epoch: int, length: int, total_epochs: int, count: int) -> tuple[list[int], int]:
    """Returns the `count` frames of a video in an epoch of *dual* batches: epoch, epoch + step, … (section 4.3.1)."""
    _check_length(length)
    step = (length - total_epochs) // count
    wanted = [epoch + i * max(1, step) for i in range(count)]
    frames = [min(frame, length - 1) for frame in wanted]
    substituted = count if step < 1 else sum(a != b for a, b in zip(frames, wanted, strict=True))
    return frames, substituted


def evaluation_frames(length: int, count: int) -> tuple[list[int], int]:
    """Returns `count` equally spaced frames from frame 10 on; from frame 0 in a video of less than `10 + count`."""
    _check_length(length)
    if length < FIRST_EVALUATION_FRAME + count:
        return [i * length // count for i in range(count)], count
    step = (length - FIRST_EVALUATION_FRAME) // count
    return [FIRST_EVALUATION_FRAME + i * step for i in range(count)], 0


def benchmark_frames(length: int, count: int) -> tuple[list[int], int]:
    """Returns `count` frames from first to last, as DeepfakeBench chooses them; each once of a shorter video."""
    _check_length(length)
    frames = sorted({i * (length - 1) // max(1, count - 1) for i in range(count)})
    return frames, 0


def altered_frame(epoch: int, count: int) -> int:
    """Returns which of a fake's `count` altered frames an epoch of *various* batches shows; its others are real.

    The thesis's formula is for whole films: of a few frames it would nearly always take the last. Here each epoch goes
    on by the golden ratio, so that any number of epochs spreads over all of them.
    """
    _check_length(count)
    return (epoch * 40503 % 65536) * count // 65536  # 40503 / 65536 is the golden ratio's fraction


def altered_dual_frames(epoch: int, count: int, wanted: int) -> list[int]:
    """Returns the `wanted` altered frames in an epoch of *dual* batches, as far apart as they can be."""
    first = altered_frame(epoch, count)
    return sorted((first + i * count // wanted) % count for i in range(wanted))


def spaced_frames(length: int, count: int) -> list[int]:
    """Returns at most `count` equally spaced frames over the whole length, each once."""
    return sorted({i * length // count for i in range(count)})


def asked_for(
    split: str,
    epochs: int,
    length: int,
    batches: str = "various",
    protocol: str = "",
    altered: Ranges | None = None,
) -> list[int]:
    """Returns every frame that `epochs` epochs of *various* batches, or the evaluation of its split, will ask
    a video for.

    Videos of no split, or of `unused`, are asked for none.

    Args:
        split: of the video.
        epochs: of the run.
        length: the video's frames.
        batches: `various-presets` adds what each run of the thesis with *various* batches asks for: those of fewer
            epochs ask short videos for other frames. `presets` adds its runs with *dual* batches, which ask for most
            frames that there are.
        protocol: `deepfakebench` adds what that protocol asks test videos for.
        altered: the frames of a fake that training may show, see `ffpp_prep.format.segments`; None for all. Evaluation
            looks at whole films, as it wouldn't know which part is altered.
    """
    if split in EVALUATION_FRAMES:
        found = set(evaluation_frames(length, EVALUATION_FRAMES[split])[0])
        if protocol == "deepfakebench" and split == "test":
            found.update(benchmark_frames(length, BENCHMARK_FRAMES)[0])
        return sorted(found)
    if split != "train":
        return []
    runs = {epochs, *PRESET_EPOCHS} if batches in ("various-presets", "presets") else {epochs}
    if altered is not None:
        inside = sum(stop - first for first, stop in altered)
        numbers = {altered_frame(epoch, inside) for epoch in range(1, max(runs) + 1)} if inside else set()
        if batches == "presets" and inside:
            for epoch in range(1, PRESET_EPOCHS[-1] + 1):
                numbers.update(altered_dual_frames(epoch, inside, PRESET_PAIRS))
        return [frame_at(altered, number) for number in sorted(numbers)]
    found = {various_frame(epoch, length, total)[0] for total in runs for epoch in range(1, total + 1)}
    if batches == "presets":
        total = PRESET_EPOCHS[-1]
        for epoch in range(1, total + 1):
            found.update(dual_frames(epoch, length, total, PRESET_PAIRS)[0])
    return sorted(found)


def _check_length(length: int) -> None:
    if length < 1:
        raise UserError(f"length={length}: a video has at least one frame")
