"""What a network costs: parameters, multiply-adds, bytes and time; and the thesis's Table 7.1 beside our counts."""

import copy
import io
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, cast

import torch
from torch import Tensor, nn

from .catalog import markdown
from .registry import create_model

SIZE_UNIT = 1_024_000  # bytes in the thesis's "MB"


@dataclass(frozen=True)
class Cost:
    """What one image costs."""

    parameters: int
    multiply_adds: int
    """Of convolutions and linear layers."""
    batch_norm_operations: int
    """Two for each number that a batch norm sees: what THOP adds."""
    file_bytes: int
    """Of the state dict as the thesis's PyTorch wrote it (before its zip format)."""


@dataclass(frozen=True)
class ThesisRow:
    """One row of Table 7.1 as printed."""

    title: str
    input_size: int
    multiply_adds: str
    parameters: str
    megabytes: str


TABLE_7_1 = {
    "reseption_v1": ThesisRow("Reseption V1", 299, "5.15", "16.89", "66.2"),
    "reseption_v2": ThesisRow("Reseption V2", 299, "4.79", "15.75", "61.8"),
    "reseption_ensemble": ThesisRow("Reseption Ensemble", 299, "9.94", "34", "133.7"),
    "inception_v3": ThesisRow("Inception V3", 299, "5.73", "21.79", "85.4"),
    "resnext101_32x8d": ThesisRow("ResNeXt-101 32x8d", 224, "30.51", "86.74", "339.7"),
}
NOTES = """\
- MACs: ours count convolutions and linear layers. The thesis used THOP, which also counts two operations for every
  number that a batch norm sees; the column "as THOP" adds them and gives the thesis's figures.
- ResNeXt-101: the thesis's 30.51 G are those of 299×299; at the 224×224 that its table names they are 16.47 G.
- Size: the thesis's MB are 1,024,000 bytes, and its sizes those of the saved state dict, batch norm's running
  statistics and the file's own overhead included; they agree to within 0.1.
- Parameters agree; the thesis rounds the ensemble's 34.10 M to 34."""


def count_cost(model: nn.Module, input_size: int, in_chans: int = 3) -> Cost:
    """Counts a network's parameters, operations for one image of that size, and bytes; nothing is computed."""
    counts = {"multiply_adds": 0, "batch_norm": 0}

    def count(module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            counts["multiply_adds"] += output.numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            counts["multiply_adds"] += output.numel() * module.in_features
        elif isinstance(module, nn.BatchNorm2d):
            counts["batch_norm"] += 2 * output.numel()

    ghost = copy.deepcopy(model).eval().to("meta")
    for module in ghost.modules():
        module.register_forward_hook(count)
    ghost(torch.empty(1, in_chans, input_size, input_size, device="meta"))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Cost(parameters, counts["multiply_adds"], counts["batch_norm"], _file_bytes(model))


def measure_seconds(model: nn.Module, input_size: int, in_chans: int = 3, repeats: int = 5) -> float:
    """Returns the median processor time of one image on one CPU core, in seconds, after one run to warm up."""
    image = torch.zeros(1, in_chans, input_size, input_size)
    threads = torch.get_num_threads()
    times = []
    model.eval()
    torch.set_num_threads(1)  # then the processor's time is the image's, whatever else the machine does
    try:
        with torch.inference_mode():
            model(image)
            for _ in range(repeats):
                start = time.process_time()
                model(image)
                times.append(time.process_time() - start)
    finally:
        torch.set_num_threads(threads)
    return statistics.median(times)


def table_7_1(speed: bool = False) -> str:
    """Returns Table 7.1 in Markdown: our figures, the thesis's beside them, and why they differ.

    Rows of networks that are not ours need torchvision and are left out without it, which a note then says.
    """
    columns = [
        "model",
        "input",
        "MACs (G)",
        "as THOP",
        "thesis",
        "params (M)",
        "thesis",
        "size (MB)",
        "thesis",
    ]
    columns += ["ms on one core"] * speed
    rows = [columns, [":--"] + ["--:"] * (len(columns) - 1)]
    for row, input_size, model in _table_models(_home(speed)):
        cost = count_cost(model, input_size)
        rows.append(
            [
                row.title,
                str(input_size),
                f"{cost.multiply_adds / 1e9:.3f}",
                f"{(cost.multiply_adds + cost.batch_norm_operations) / 1e9:.2f}",
                row.multiply_adds if input_size == 299 else "",
                f"{cost.parameters / 1e6:.2f}",
                row.parameters,
                f"{cost.file_bytes / SIZE_UNIT:.1f}",
                row.megabytes,
                *_speed_cell(model, input_size, speed),
            ]
        )
    printed = {cells[0] for cells in rows}
    left_out = [row.title for row in TABLE_7_1.values() if row.title not in printed]
    note = f"\n- Left out, as torchvision is not installed: {', '.join(left_out)}." if left_out else ""
    return f"{markdown(rows)}\n\n{NOTES}{note}"


class _Sink(io.RawIOBase):
    """A file that only counts what is written to it."""

    def __init__(self) -> None:
        self.bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        count = memoryview(content).nbytes  # type: ignore[arg-type]
        self.bytes += count
        return count


def _file_bytes(model: nn.Module) -> int:
    """Returns the size of the state dict as a file of the thesis's PyTorch, the one before the zip format."""
    state = model.state_dict()  # with PyTorch's own notes on it, which are saved as well
    for name, value in state.items():
        state[name] = torch.empty_like(value, device="cpu")
    sink = _Sink()
    torch.save(state, cast(IO[bytes], sink), _use_new_zipfile_serialization=False)
    return sink.bytes


def _speed_cell(model: nn.Module, input_size: int, speed: bool) -> list[str]:
    return [f"{1000 * measure_seconds(model, input_size):.0f}"] if speed else []


def _home(speed: bool) -> torch.device:
    """Returns the device on which networks are built: "meta", unless they have to run."""
    return torch.device("cpu" if speed else "meta")


def _table_models(home: torch.device) -> Iterator[tuple[ThesisRow, int, nn.Module]]:
    for name in ("reseption_v1", "reseption_v2", "reseption_ensemble"):
        with home:
            model = create_model(name)
        yield TABLE_7_1[name], TABLE_7_1[name].input_size, model
    try:
        from torchvision import models
    except ImportError:
        return
    with home:
        inception = models.inception_v3(weights=None, aux_logits=False, init_weights=False)
        inception.fc = nn.Linear(inception.fc.in_features, 1)
        resnext = models.resnext101_32x8d(weights=None)
        resnext.fc = nn.Linear(resnext.fc.in_features, 1)
    yield TABLE_7_1["inception_v3"], 299, inception
    for input_size in (224, 299):
        yield TABLE_7_1["resnext101_32x8d"], input_size, resnext
