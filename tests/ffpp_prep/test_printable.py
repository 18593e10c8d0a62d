"""Text from outside in a terminal and in a spreadsheet."""

import csv
import io
import logging
import sys

import pytest

from ffpp_prep.cli import main
from ffpp_prep.datasets.leaks import Leak, write_pairs
from ffpp_prep.text.printable import printable, printing, readable
from ffpp_prep.text.spreadsheet import cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ü 测 عربي 👩‍👩‍👧.mp4", "plain ü 测 عربي 👩‍👩‍👧.mp4"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\tc\x00\x7f", r"a\x0d\x0ab\x09c\x00\x7f"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), r"caf\xe9"),
        ("gpj.\u202egnp\u2066\u2028", r"gpj.\u202egnp\u2066\u2028"),
        ("\ud800", r"\ud800"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(shown) == shown
    shown.encode()


def test_line_breaks_stay_where_they_are_meant() -> None:
    assert printable("a\tb\n\x1b", keep="\n\t") == "a\tb\n\\x1b"


def test_what_is_printed_and_logged_in_a_command_is_readable(capsys) -> None:
    with printing():
        print("name \x1b[31m\udce9\nnext")
    assert capsys.readouterr().out == "name \\x1b[31m\\xe9\nnext\n"
    with io.TextIOWrapper(io.BytesIO(), encoding="ascii") as narrow:
        handler = logging.StreamHandler(readable(narrow))
        handler.emit(logging.makeLogRecord({"msg": "测 \x1b"}))
        narrow.flush()
        assert narrow.buffer.getvalue() == b"\\u6d4b \\x1b\n"
    assert main(["status", "\x1b[31mnowhere"]) == 2
    assert "\x1b" not in capsys.readouterr().err
    assert not hasattr(sys.stdout, "_stream")  # as it was


@pytest.mark.parametrize("first", ["=", "+", "-", "@", "＝", "\t=", "\r=", "  =", "\n+"])
def test_formulas_are_text_in_a_spreadsheet(first: str) -> None:
    assert str(cell(f"{first}cmd|' /C calc'!A0")).startswith(("'", r"\x"))
    assert str(cell(f"a;{first}cmd|' /C calc'!A0")).startswith(("a;'", r"a;\x")), "where semicolons separate"
    assert cell('a; "=1') == "a;' \"=1" and cell("\u200b=1") == "'\u200b=1" and cell("a;b") == "a;b"
    assert cell(-1.5) == -1.5 and cell("plain-name") == "plain-name"


def test_leaks_are_written_without_formulas(tmp_path) -> None:
    one, other = ("train", "=HYPERLINK(1)"), ("test", "@b.mp4")
    leak = Leak("original", "+1", {"train": ("=HYPERLINK(1)",), "test": ("@b.mp4",)})
    write_pairs([leak], tmp_path / "pairs.csv")
    _, row = csv.reader((tmp_path / "pairs.csv").open(encoding="utf-8"))
    assert row == ["original", "'+1", one[0], "'" + one[1], other[0], "'" + other[1]]
