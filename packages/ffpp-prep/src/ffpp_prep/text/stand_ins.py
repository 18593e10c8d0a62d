"""What lies where a file should be after a download that went wrong."""

from __future__ import annotations

from pathlib import Path

from ffpp_prep.machine import reading

__all__ = ["stand_in"]

_HEAD = 512
_LFS = b"version https://git-lfs.github.com/spec/"
_PAGE = (b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")


def stand_in(path: Path) -> str:
    """Says what lies in a file's place, and what to do; returns "" where it is neither a pointer nor a page."""
    try:
        with reading(path) as file:
            head = file.read(_HEAD)
    except OSError:
        return ""
    if head.startswith(_LFS):
        return "a Git LFS pointer in the file's place; run `git lfs pull` in its repository"
    if head.removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGE):
        return "a web page in the file's place; download the file itself (its raw or download link)"
    return ""
