"""Messages and tracebacks that go into answers don't say where on a machine something lay."""

import sys
from pathlib import Path
from traceback import format_exception

import pytest

from dfd_train.predict import analysis, places
from dfd_train.predict.places import without_places


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("[Errno 2] No such file: '/secret place/my clips/a.mp4'", "[Errno 2] No such file: 'a.mp4'"),
        (
            f'File "{Path(places.__file__).parent}/places.py", line 3',
            'File "dfd_train/predict/places.py", line 3',
        ),
        ("lib at /opt/somewhere/lib/libav.so.7: cannot open", "lib at libav.so.7: cannot open"),
        (r"at C:\Users\somebody\a.mp4", "at a.mp4"),
        ("https://example.org/a/b and video/mp4, 1/2/3", "https://example.org/a/b and video/mp4, 1/2/3"),
        ("a/relative/path and /x", "a/relative/path and /x"),
    ],
)
def test_folders_go_and_words_stay(said, left) -> None:
    assert without_places(said, Path("/secret place/my clips/a.mp4")) == left


def test_a_traceback_keeps_modules_and_lines() -> None:
    try:
        analysis.require_file(None)  # type: ignore[arg-type]
    except AttributeError as error:
        said = "".join(format_exception(error))
    left = without_places(said)
    assert 'File "dfd_train/predict/inputs.py", line ' in left and "in require_file" in left
    assert left.count("\n") == said.count("\n")
    for place in (sys.prefix, Path.home(), Path.cwd(), Path(__file__).parent):
        assert f"{place}/" not in left
