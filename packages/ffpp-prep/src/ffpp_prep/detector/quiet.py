"""Keeps the banners that native libraries print out of the terminal."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

logger = logging.getLogger(__name__)

_STDERR = 2


@contextmanager
def native_messages_to_log() -> Iterator[None]:
    """Logs what is written to the process's standard error meanwhile, at level debug.

    LiteRT and TensorFlow announce themselves there, from C++, in every worker process, and no setting stops them.
    """
    sys.stderr.flush()
    terminal = os.dup(_STDERR)
    with tempfile.TemporaryFile() as capture:
        os.dup2(capture.fileno(), _STDERR)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(terminal, _STDERR)
            os.close(terminal)
            capture.seek(0)
            text = capture.read().decode(errors="replace").strip()
            if text:
                logger.debug("%s", text)
