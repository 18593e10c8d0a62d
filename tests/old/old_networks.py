"""The network of the old run, as a user's own function: its name stands in the run's settings and checkpoints."""

from torch import nn


def small_reseption() -> nn.Module:
    """Reseption V2 of the fewest channels, some kilobytes."""
    from reseption_models import create_model

    return create_model(
        "reseption_v2",
        stem=(2,) * 5,
        block_a=((2,), (2, 2), (2, 2, 2)),
        reduction_a=((2,), (2, 2, 2)),
        block_b=((2,), (2,) * 3, (2,) * 5),
        reduction_b=((2, 2), (2,) * 4),
        block_c=((2,), (2, 2), (2, 2, 2)),
        depths=(1, 1, 1),
        remap=True,
        input_size=75,
    )
