"""What messages tell a person to type can be typed, whatever the folders are called."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from clips import here

from ffpp_prep.text.typed import typed
from ffpp_prep.work.store import write_scan

ADVICE = re.compile(r"run  ffpp-prep (.*)  first")


@pytest.mark.parametrize(
    "name", ["my work", "it's", 'a "b"', "$HOME", "a;b", "(1)", "d\u00e9j\u00e0 vu", "*"]
)
def test_a_folder_s_name_is_one_word(tmp_path: Path, name: str) -> None:
    assert shlex.split(typed(tmp_path / name)) == [str(tmp_path / name)]
    work = tmp_path / name
    write_scan(work, [], {})
    for command in ("extract", "landmarks", "check-fakes"):
        (advice,) = ADVICE.findall(here(command, work).stderr)
        assert shlex.split(advice) == ["boxes", str(work)]


def test_a_plain_path_stays_and_none_is_an_option() -> None:
    assert typed("/data/FF++/w_1.2-3") == "/data/FF++/w_1.2-3"
    assert typed(Path("-w")) == "./-w"
