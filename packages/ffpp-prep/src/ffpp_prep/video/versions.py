"""Which decoder this is, to be said beside what it decoded."""

from __future__ import annotations

from importlib.metadata import version

import av

__all__ = ["decoder_version"]


def decoder_version(decoder: str = "pyav") -> str:
    """Returns a decoder's name and version, with that of the FFmpeg library inside where it tells.

    Example: `pyav 18.1.0, libavcodec 62.11.100`. decord doesn't tell which FFmpeg it was built with.
    """
    if decoder == "decord":
        return f"decord {version('decord')}"
    number = ".".join(map(str, av.library_versions["libavcodec"]))
    return f"pyav {av.__version__}, libavcodec {number}"
