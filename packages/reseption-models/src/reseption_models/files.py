"""What a file of weights is, seen from its bytes, before anything is allocated for what it says of itself.

Nothing here unpickles; the list of a pickle's instructions is read, none is carried out.
"""

import json
import pickletools
import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from .errors import UserError

_HEAD = 512
_LFS = b"version https://git-lfs.github.com/spec/"
_MAX_HEADER = 100_000_000  # bytes; what safetensors itself allows
_MAX_PICKLE = 100_000_000  # bytes of names and shapes; the numbers stand elsewhere
_MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
_PLACES = ("GET", "PUT", "MEMOIZE", "PROTO", "FRAME")  # their numbers are the pickle's own
AGAIN = "copy or download the file again"
SHARED = 4  # how often a file may name the same numbers: a network, its average, what both share


def check_is_file(path: Path) -> None:
    """Raises FileNotFoundError where there is no file, ValueError where there is something else in its place."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not head:
        raise UserError(f"{path}: empty; {AGAIN}")
    if head.startswith(_LFS):
        raise UserError(
            f"{path}: a Git LFS pointer in the file's place; run `git lfs pull` in its repository"
        )
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        raise UserError(
            f"{path}: a web page in the file's place; download the file itself (its raw or download link)"
        )


def is_safetensors(path: Path) -> bool:
    """Returns whether a file begins as safetensors do: the length of a JSON object, then that object."""
    with path.open("rb") as file:
        head = file.read(9)
    return len(head) == 9 and head[8:] == b"{" and struct.unpack("<Q", head[:8])[0] <= _MAX_HEADER


def check_safetensors_size(path: Path) -> None:
    """Raises ValueError unless the tensors that the header names are the bytes that the file has."""
    size = path.stat().st_size
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(_MAX_HEADER, size - 8):
            raise UserError(f"{path}: damaged: a header of {length:,} bytes in a file of {size:,}; {AGAIN}")
        try:
            header = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
            named = max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError) as error:
            raise UserError(f"{path}: damaged: its header is none ({type(error).__name__})") from None
    if not isinstance(named, int) or named != size - 8 - length:
        raise UserError(
            f"{path}: damaged: its header names {named} bytes of tensors, it has {size - 8 - length:,}; {AGAIN}"
        )


def check_torch_size(path: Path) -> None:
    """Raises ValueError where a file that `torch.save` wrote would take more memory than the file is long."""
    with path.open("rb") as file:
        packed = file.read(4) == b"PK\x03\x04"  # as torch.load decides
    if packed:
        _check_archive(path)
    else:
        _check_legacy(path)


def _check_archive(path: Path) -> None:
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            packed = [entry.filename for entry in entries if entry.compress_type != zipfile.ZIP_STORED]
            pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
            if packed or unpacked > size:
                raise UserError(
                    f"{path}: {size:,} bytes that unpack to {unpacked:,}; torch.save writes none that are packed"
                )
            for entry in pickles:
                with archive.open(entry) as file:
                    _check_storages(path, file.read(_MAX_PICKLE), size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__}); {AGAIN}") from None


def _check_legacy(path: Path) -> None:
    """Checks what PyTorch wrote before 1.6: four pickles one after another, then the numbers."""
    size = path.stat().st_size
    with path.open("rb") as file:
        if not _has_magic_number(file):
            return  # torch.load will say so, before it reads a tensor
        for _ in range(3):
            _check_storages(path, file, size)


def _has_magic_number(file: BinaryIO) -> bool:
    """Returns whether the first pickle is the number that `torch.save` began with; reads that pickle."""
    try:
        return _MAGIC_NUMBER in [argument for _, argument, _ in pickletools.genops(file)]
    except Exception:  # pickletools meets damage with whatever it stumbles over
        return False


def _check_storages(path: Path, source: BinaryIO | bytes, size: int) -> None:
    """Raises where a pickle says that its storages have far more numbers than its file has bytes.

    A storage is named by a persistent id: a tuple in which the only whole number outside of names is how many numbers
    it has. Pickles that hide it, by remembering or doubling a number, are written by no pickler and refused.
    """
    numbers: list[int] = []
    total, previous_is_number = 0, False
    try:
        for operation, argument, _ in pickletools.genops(source):
            name = operation.name
            is_number = type(argument) is int and not name.endswith(_PLACES)
            if name == "DUP" or (previous_is_number and name.endswith(("PUT", "MEMOIZE"))):
                raise UserError(f"{path}: damaged, or made to mislead: {name} after a number")
            if name == "MARK":
                numbers.clear()
            elif name.endswith("PERSID"):
                total += max(numbers, default=0)
                if total > SHARED * size:
                    raise UserError(
                        f"{path}: {size:,} bytes that name tensors of {total:,} numbers; damaged, or made to fill the "
                        "memory"
                    )
                numbers.clear()
            elif isinstance(argument, int) and is_number:
                numbers.append(argument)
            previous_is_number = is_number
    except UserError:
        raise
    except Exception as error:  # pickletools meets damage with whatever it stumbles over
        raise UserError(f"{path}: damaged or no checkpoint ({type(error).__name__}); {AGAIN}") from None
