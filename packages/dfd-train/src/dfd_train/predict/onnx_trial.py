"""A stranger's ONNX file is tried in a process of its own first: it may ask for any memory or time, or for other files.

`python -m dfd_train.predict.onnx_trial FILE` loads it and scores one picture, within limits.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import psutil

from dfd_train.calibration.card import INPUT, METADATA_KEY, OUTPUT, DetectorCard
from dfd_train.errors import UserError

FREE_BYTES, TIMES_ITS_SIZE = 2 << 30, 10  # of memory
FREE_SECONDS, BYTES_A_SECOND = 60, 2_000_000  # of a processor
WAIT_SECONDS = 600  # for all of it, on a busy machine or a slow disk
GLANCE_SECONDS = 0.02


def try_onnx(path: Path) -> None:
    """Raises: UserError for a file that names other files, or costs far more than a network of its size."""
    size = path.stat().st_size
    memory, seconds = FREE_BYTES + TIMES_ITS_SIZE * size, FREE_SECONDS + size // BYTES_A_SECOND
    command = [sys.executable, "-P", "-m", "dfd_train.predict.onnx_trial", str(path.resolve())]
    with (
        TemporaryFile() as said,
        subprocess.Popen(command, stdout=said, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as tried,
    ):
        too_much = _watch(tried, memory, seconds)
        said.seek(0)
        text = said.read(1000).decode(errors="replace").strip()
    if tried.returncode and not too_much and text:
        raise UserError(f"{path}: {text}")
    if tried.returncode:
        raise UserError(
            f"{path}: it takes more than {memory / 1e9:.1f} GB or {seconds} seconds of a processor to load it and to "
            "score one picture: no network of its size does"
        )


def _watch(process: subprocess.Popen[bytes], memory: int, seconds: float) -> bool:
    """Waits for a process; ends it, and says so, where it takes more."""
    began = time.monotonic()
    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            times = watched.cpu_times()
            spent = times.user + times.system
            waited = time.monotonic() - began
            if watched.memory_info().rss > memory or spent > seconds or waited > WAIT_SECONDS:
                process.kill()
                process.wait()
                return True
            time.sleep(GLANCE_SECONDS)
    except psutil.Error:  # it has just ended
        process.wait()
    except BaseException:
        process.kill()
        raise
    return False


def _try(path: Path) -> None:
    import numpy as np
    import onnx
    import onnxruntime

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:  # of protobuf, whatever its version
        sys.exit(_said(f"not a readable ONNX file ({type(error).__name__}); copy it, or export it, again"))
    if any(tensor.external_data or tensor.data_location == tensor.EXTERNAL for tensor in _tensors(model)):
        sys.exit(_said("it says that its weights are in other files; allowed: one file with all in it"))
    del model
    try:
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
        if text is not None:
            size = DetectorCard.from_json(text, path).input_size
            session.run([OUTPUT], {INPUT: np.zeros((1, 3, size, size), np.float32)})
    except UserError:  # of its card, which `OnnxScorer` says
        return
    except Exception as error:  # the runtime's own exceptions share no base class
        sys.exit(_said(f"not a readable ONNX file ({type(error).__name__}); copy it, or export it, again"))


def _said(text: str) -> int:
    sys.stdout.write(text)
    return 1


def _tensors(message: Any) -> Iterator[Any]:
    """Yields all tensors of a model, wherever they stand: in graphs within graphs, functions, attributes."""
    import onnx

    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for part in value if hasattr(value, "__len__") else (value,):
            if isinstance(part, onnx.TensorProto):
                yield part
            yield from _tensors(part)


if __name__ == "__main__":
    _try(Path(sys.argv[1]))
