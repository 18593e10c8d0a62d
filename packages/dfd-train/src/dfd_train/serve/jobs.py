"""Uploaded files, scored one after the other by one thread, which owns the detector and the networks."""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dfd_train.predict.batch import Job as Settings
from dfd_train.predict.batch import Stages, predict_file
from dfd_train.predict.faces import Advance
from dfd_train.predict.inputs import Input
from dfd_train.predict.page import Answer, answer

log = logging.getLogger(__name__)

MOST_WAITING = 20

State = Literal["waiting", "scoring", "annotating", "done", "failed", "cancelled"]


class _Cancelled(Exception):
    pass


@dataclass
class Upload(Stages):
    """One uploaded file and how far it is. Written by the worker, read by the server's threads."""

    number: str
    """its unguessable name in addresses"""
    file: Path
    state: State = "waiting"
    share: float = 0.0
    """of the present stage, 0 to 1"""
    answer: Answer | None = None
    note: str = ""
    cancel: bool = False
    _began: float = field(default_factory=time.monotonic)

    @property
    def folder(self) -> Path:
        """Where its report lies."""
        return self.file.parent / "report"

    @property
    def seconds_left(self) -> float | None:
        """Of the present stage; None as long as that can't be told."""
        spent = time.monotonic() - self._began
        known = self.state in ("scoring", "annotating") and self.share > 0.02
        return spent / self.share * (1 - self.share) if known else None

    def of(self, stage: str) -> Advance:
        """See `Stages`; a cancelled upload stops at its next call."""
        self.state = "scoring" if stage == "scoring" else "annotating"
        self.share, self._began = 0.0, time.monotonic()

        def advance(at: float, duration: float) -> None:
            if self.cancel:
                raise _Cancelled
            self.share = min(1.0, at / duration) if duration else 0.0

        return advance


class Jobs:
    """The queue and its worker; `close` ends it after the file in hand is cancelled.

    keep: whether a report stays on the disk when its upload is removed.
    """

    def __init__(self, settings: Settings, *, keep: bool) -> None:
        self._settings, self._keep = settings, keep
        self._uploads: dict[str, Upload] = {}
        self._queue: queue.Queue[Upload | None] = queue.Queue()
        self._worker = threading.Thread(target=self._work, name="scoring", daemon=True)
        self._worker.start()

    def add(self, number: str, file: Path) -> Upload | None:
        """Put a file in the queue; None where too many wait already."""
        if self._queue.qsize() >= MOST_WAITING:
            return None
        upload = Upload(number, file)
        self._uploads[number] = upload
        self._queue.put(upload)
        return upload

    def find(self, number: str) -> Upload | None:
        """The upload of that name."""
        return self._uploads.get(number)

    def before(self, upload: Upload) -> int:
        """How many files come first."""
        ahead = list(self._uploads.values())
        return sum(one.state in ("waiting", "scoring", "annotating") for one in ahead[: ahead.index(upload)])

    def remove(self, upload: Upload) -> None:
        """Cancel it where it isn't done; where it is, forget it, and delete its report unless reports are kept."""
        upload.cancel = True
        if upload.state in ("done", "failed", "cancelled"):
            self._uploads.pop(upload.number, None)
            if self._keep and upload.state == "done":
                return
            shutil.rmtree(upload.file.parent, ignore_errors=True)

    def close(self) -> None:
        """End the worker."""
        for upload in self._uploads.values():
            upload.cancel = True
        self._queue.put(None)
        self._worker.join(timeout=30)

    def _work(self) -> None:
        while (upload := self._queue.get()) is not None:
            try:
                if upload.cancel:
                    raise _Cancelled
                name = upload.file.name
                file = Input(upload.file, name, alias=name)
                done = predict_file(file, upload.folder, self._settings, upload)
                upload.answer, upload.note = answer(done.result), done.result.note
                upload.state = "done"
            except _Cancelled:
                upload.state = "cancelled"
                shutil.rmtree(upload.folder, ignore_errors=True)
            except Exception:  # the server lives on, whatever one file does
                log.exception("%s", upload.file.name)
                upload.state = "failed"
            finally:
                upload.file.unlink(missing_ok=True)  # a person's video stays no longer than needed
