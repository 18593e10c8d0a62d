"""What dfd writes has names that Windows takes, too."""

import re
from pathlib import Path, PureWindowsPath

import pytest

from dfd_train.predict.inputs import folder_name, same_name

DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
REFUSED = re.compile(r'[<>:"/\\|?*\x00-\x1f]|[. ]$')
OLD = Path(__file__).parents[1] / "old"


def portable(name: str) -> bool:
    return not (DEVICE.fullmatch(name) or REFUSED.search(name) or len(name) > 255)


@pytest.mark.parametrize(
    "called",
    ["con.mp4", "AUX", "nul.tar.gz", "Com1.png", "lpt9", "a:b.mp4", "what?.png", "x.", "x ", "a|b", 'q"q', "t\tt", "<>",
     "..", "C:\\videos\\clip.mp4", "prn/aux.mp4"],
)  # fmt: skip
def test_an_answer_s_folder(called):
    name = folder_name(called)
    assert portable(name), name
    assert len(PureWindowsPath(name).parts) == 1


def test_a_device_s_name_stays_a_name_of_its_own():
    assert folder_name("con.mp4") == "_con.mp4"
    assert folder_name("console.mp4") == "console.mp4"
    assert same_name(folder_name("con.mp4")) != same_name(folder_name("aux.mp4"))


@pytest.mark.parametrize("folder", ["work", "run", "weights"])
def test_a_work_folder_a_run_and_an_export(folder):
    names = [path.name for path in (OLD / folder).rglob("*")]
    assert len(names) > 1 and [name for name in names if not portable(name)] == []
