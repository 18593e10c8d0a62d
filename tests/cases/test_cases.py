"""Every case of `shared/cases` is mended; left out where the cases don't lie beside the repository."""

from pathlib import Path

import pytest
from bench import Bench, CannotRun, cases_folder
from expectations import EXPECTATIONS

CASES = cases_folder()


@pytest.mark.full
@pytest.mark.skipif(CASES is None, reason="no shared/cases beside or above the repository")
@pytest.mark.parametrize("name", EXPECTATIONS)
def test_the_case_is_mended(name: str, tmp_path: Path) -> None:
    assert CASES is not None
    try:
        verdict = EXPECTATIONS[name](Bench(name, CASES, tmp_path))
    except CannotRun as reason:
        pytest.skip(str(reason))
    print(f"{name}: {verdict.seen}")
    assert verdict.mended, verdict.seen


@pytest.mark.skipif(CASES is None, reason="no shared/cases beside or above the repository")
def test_every_case_has_an_expectation() -> None:
    assert CASES is not None
    assert {path.parent.name for path in CASES.glob("*/make.*")} == set(EXPECTATIONS)
