"""Reports of `dfd-train predict` in tests: a copy to be changed, and what a folder's result says."""

from pathlib import Path

from dfd_train.predict.outputs import read_result
from dfd_train.predict.result import Result


def copied(report: Path, target: Path) -> Path:
    target.mkdir()
    for path in report.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def found(folder: Path) -> Result:
    result = read_result(folder)
    assert result is not None
    return result
