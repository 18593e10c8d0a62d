"""Uploaded files, scored one after the other by one thread, which owns the detector and the networks."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from dfd_train.predict.batch import Job as Settings
from dfd_train.predict.batch import Stages, predict_file
from dfd_train.predict.faces import Advance
from dfd_train.predict.inputs import Input
from dfd_train.predict.overview import answers, write_overview
from dfd_train.predict.page import Answer, answer
from dfd_train.serve.refusal import Refused

log = logging.getLogger(__name__)

MOST_WAITING = 20
RETRY_S = 2  # after which a client may ask for a place again
REPORT = "report"
NUMBER = "[0-9a-f]{24}"

Stage = Literal["scoring", "explaining", "annotating"]
STAGES: tuple[Stage, ...] = get_args(Stage)
State = Literal["waiting", "scoring", "explaining", "annotating", "done", "failed", "cancelled"]


class _Cancelled(BaseException):
    """Ends the work on a file from within; no error, so that nothing on its way takes it for one."""


@dataclass(eq=False)
class Upload(Stages):
    """One uploaded file and how far it is. Written by the worker, read by the server's threads."""

    number: str
    """its unguessable name in addresses"""
    file: Path
    name: str = ""
    """as its sender calls it"""
    detector: str = ""
    """which one scores it"""
    state: State = "waiting"
    share: float = 0.0
    """of the present stage, 0 to 1; 1 of what is done"""
    answer: Answer | None = None
    note: str = ""
    cancel: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """The folder in which the upload's report lies."""
        return self.file.parent / REPORT

    @property
    def seconds_left(self) -> float | None:
        """How long the present stage will take; None as long as that can't be told."""
        spent = time.monotonic() - self._began
        known = self.state in STAGES and self.share > 0.02
        return spent / self.share * (1 - self.share) if known else None

    def of(self, stage: str) -> Advance:
        """See `Stages`; a cancelled upload stops at its next call."""
        begun = False

        def advance(at: float, duration: float) -> None:
            nonlocal begun
            if self.cancel:
                raise _Cancelled
            if not begun:
                begun, self._began = True, time.monotonic()
                self.state = cast("Stage", stage)
            self.share = min(1.0, at / duration) if duration else 0.0

        return advance


class Jobs:
    """The queue and its worker; `close` ends it after the file in hand is cancelled.

    detectors: what scores, by name, the default first.
    keep: the folder whose reports stay when their uploads are removed, and are found again at the next start; with
        summary.csv and index.html over them. None: nothing stays.
    """

    def __init__(self, detectors: Mapping[str, Settings], keep: Path | None) -> None:
        self.detectors, self._keep = dict(detectors), keep
        self._overview = Pause()
        self._uploads: dict[str, Upload] = {}
        self._waiting: deque[Upload] = deque()
        self._coming = 0  # uploads that have a place and are on their way
        self._closed = False
        self._changed = threading.Condition()
        if keep is not None:
            self._restore(keep)
        self._worker = threading.Thread(target=self._work, name="scoring", daemon=True)
        self._worker.start()

    @contextmanager
    def place(self) -> Iterator[None]:
        """Keeps a place in the queue for a file that is on its way. Raises: Refused (503) where there is none."""
        with self._changed:
            if len(self._waiting) + self._coming >= MOST_WAITING:
                raise Refused(503, "too many files wait already: try again later", retry_s=RETRY_S)
            self._coming += 1
        try:
            yield
        finally:
            with self._changed:
                self._coming -= 1

    @property
    def alive(self) -> bool:
        """Whether files are still scored."""
        return self._worker.is_alive()

    @property
    def waiting(self) -> int:
        """How many files wait."""
        return len(self._waiting)

    def add(self, number: str, file: Path, name: str = "", detector: str = "") -> Upload:
        """Puts a file in the queue, for the detector of that name."""
        upload = Upload(number, file, name or file.name, detector or next(iter(self.detectors)))
        with self._changed:
            self._uploads[number] = upload
            self._waiting.append(upload)
            self._changed.notify()
        return upload

    def find(self, number: str) -> Upload | None:
        """Returns the upload of that name."""
        return self._uploads.get(number)

    def before(self, upload: Upload) -> int:
        """Returns how many files come first; 0 for one that does not wait."""
        with self._changed:
            if upload not in self._waiting:
                return 0
            in_hand = any(one.state in STAGES for one in self._uploads.values())
            return self._waiting.index(upload) + in_hand

    def remove(self, upload: Upload) -> None:
        """Cancels an upload that isn't done; forgets one that is, and deletes its report unless reports are kept.

        One that waits is gone at once, its file too; one in hand at its next step.
        """
        with self._changed:
            upload.cancel = True
            if upload in self._waiting:
                self._waiting.remove(upload)
                upload.state = "cancelled"
            elif upload.state in ("done", "failed", "cancelled"):
                self._uploads.pop(upload.number, None)
                if self._keep and upload.state == "done":
                    return
            else:
                return
        shutil.rmtree(upload.file.parent, ignore_errors=True)

    def close(self) -> None:
        """Ends the worker and waits for it."""
        with self._changed:
            self._closed = True
            for upload in self._uploads.values():
                upload.cancel = True
            self._changed.notify()
        self._worker.join(timeout=30)

    def _next(self) -> Upload | None:
        """Waits for a file; None at the end."""
        with self._changed:
            while not self._waiting and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            upload = self._waiting.popleft()
            upload.state = "scoring"
            return upload

    def _work(self) -> None:
        while (upload := self._next()) is not None:
            try:
                file = Input(upload.file, upload.file.name, alias=upload.name)
                done = predict_file(file, upload.folder, self.detectors[upload.detector], upload)
                upload.answer, upload.note = answer(done.result), done.result.note
                upload.share, upload.state = 1.0, "done"  # in this order: readers don't wait
            except _Cancelled:
                shutil.rmtree(upload.file.parent, ignore_errors=True)
                upload.state = "cancelled"
            except Exception:  # a full disk, say; the server lives on
                log.exception("%s", upload.file.name)
                shutil.rmtree(upload.file.parent, ignore_errors=True)
                upload.state = "failed"
            finally:
                upload.file.unlink(missing_ok=True)  # a person's video stays no longer than needed
                self._write_overview(idle=not self._waiting)
        self._write_overview(idle=True)

    def _restore(self, out: Path) -> None:
        """Finds the reports of earlier servers."""
        for place, result in answers(out, REPORT):
            number = place.partition("/")[0]
            if re.fullmatch(NUMBER, number):
                upload = Upload(number, out / number / "gone", result.file, " + ".join(result.models))
                upload.state, upload.share = "done", 1.0
                upload.answer, upload.note = answer(result), result.note
                self._uploads[number] = upload

    def _write_overview(self, idle: bool) -> None:
        """Writes index and table over all reports; seldom while there is work, since it reads all of them."""
        if self._keep is None or not self._uploads or not (idle or self._overview.is_over):
            return
        with self._overview:
            try:
                write_overview(self._keep, next(iter(self.detectors.values())).reading, REPORT)
            except OSError as error:  # a full disk; the server lives on
                log.warning("%s: no index was written: %s", self._keep, error.strerror)


class Pause:
    """A pause twenty times as long as the work before it."""

    def __init__(self) -> None:
        self._until = self._began = 0.0

    @property
    def is_over(self) -> bool:
        """Whether it is time again."""
        return time.monotonic() >= self._until

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        now = time.monotonic()
        self._until = now + max(5.0, 20 * (now - self._began))
