"""The site, and a shell that runs pages."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from markdown_pages import ROOT
from shell import BIN, SHORT, Shell


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    """A folder in which detection and training are cut short."""
    shims = tmp_path / "shims"
    shims.mkdir()
    for program in ("ffpp-prep", "dfd-train"):
        (shims / program).write_text(SHORT.format(python=sys.executable, real=f"{BIN}/{program}"))
        (shims / program).chmod(0o755)
    (tmp_path / "here").mkdir()
    shell = Shell(tmp_path / "here", os.pathsep.join([str(shims), BIN, os.environ["PATH"]]))
    yield shell
    shell.end()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` does."""
    out = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    return out
