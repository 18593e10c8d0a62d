"""`dfd-train` in a process of its own that needn't load torch: a fork of one that has, and that does nothing else.

The tests' own process would do as well, but for its threads: none of them is in a fork, and what they held stays held.
"""

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(  # what commands load, which they do late
    [
        *("dfd_train.engine.train", "dfd_train.predict.batch", "dfd_train.serve.app"),
        *("torch._dynamo", "torchvision", "imagecodecs._jpegxl"),
    ]
)


class Forked:
    """A command in a session of its own, with what tests want of `subprocess.Popen`.

    before: called in the process ahead of the command, such as to break something there; of a module that it can
    import. stdout: the file of what it prints; nowhere otherwise.
    """

    def __init__(
        self, arguments: list[str], before: Callable[[], object] = list, stdout: Path = Path(os.devnull)
    ) -> None:
        self.stderr = tempfile.NamedTemporaryFile()  # noqa: SIM115
        settings = (arguments, dict(os.environ), before, stdout, self.stderr.name)
        self._process = CONTEXT.Process(target=_run, args=settings)
        self._process.start()
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("dfd-train", timeout or 0)
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[None, bytes]:
        self.wait(timeout)
        return None, self.stderr.read()

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


def _run(
    arguments: list[str], environment: dict[str, str], before: Callable[[], object], out: Path, errors: str
) -> None:
    from dfd_train.cli import main

    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    for number, name in ((1, out), (2, errors)):
        os.dup2(os.open(name, os.O_WRONLY | os.O_APPEND), number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.getLogger().handlers.clear()
    before()
    sys.exit(main(arguments))
