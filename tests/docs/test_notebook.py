"""The tutorial as a notebook: it is the page, its first cell installs, and Jupyter runs it on the sample."""

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from markdown_pages import DOCS, ROOT, blocks, commands
from nbclient import NotebookClient
from small_sets import ffpp_set

CELLS = json.loads((DOCS / "tutorial.ipynb").read_text())["cells"]


def code() -> list[str]:
    return ["".join(cell["source"]) for cell in CELLS if cell["cell_type"] == "code"]


def test_it_is_the_page() -> None:
    written = runpy.run_path(str(ROOT / "tools/notebook.py"))["notebook"]()
    assert written == (DOCS / "tutorial.ipynb").read_text(), "write it anew: python tools/notebook.py"


def test_its_cells_are_the_commands_that_the_tests_run() -> None:
    page = DOCS / "tutorial.md"
    lines = [line[1:].strip() for cell in code() for line in cell.splitlines() if line.startswith("!")]
    assert lines == commands(page) and len(lines) > 10
    files = [cell.split("\n", 1) for cell in code() if cell.startswith("%%writefile ")]
    assert [(head.split()[1], body.strip()) for head, body in files] == [
        (title, body.strip()) for title, body in blocks(page, "toml")
    ]


def test_the_first_cell_unpacks_and_installs(tmp_path: Path) -> None:
    """Of an archive as the page says to make it; pip is told to do nothing."""
    subprocess.run(
        ["git", "archive", "--prefix=dfd/", "-o", tmp_path / "dfd.zip", "HEAD", "packages"],
        cwd=ROOT,
        check=True,
    )
    script = code()[0].replace('"install"', '"install", "--dry-run", "--no-deps", "--no-build-isolation"')
    (tmp_path / "cell.py").write_text(script)
    subprocess.run([sys.executable, "cell.py"], cwd=tmp_path, check=True, timeout=300)
    assert (tmp_path / "dfd/packages/dfd-train/pyproject.toml").is_file()


@pytest.mark.full
def test_jupyter_runs_it(shell, sample_data, monkeypatch, tmp_path) -> None:
    """Detection and training are cut short as in the guides, and a part of the sample is there already."""
    part = ffpp_set(sample_data, tmp_path / "part", "020", "021", "026")  # no face, broken, scored by ONNX
    notebook = nbformat.read(DOCS / "tutorial.ipynb", as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = cell.source.replace("!ffpp-prep sample data", f"!cp -r {part} data")
            # Jupyter goes on after a command that failed; a data set has broken files, of which ffpp-prep tells by 1
            cell.source = re.sub(r"^!(ffpp-prep .*)$", r"!\1 || test $? = 1", cell.source, flags=re.MULTILINE)
            cell.source = re.sub(r"^(!.*)$", r"\1\nassert _exit_code == 0", cell.source, flags=re.MULTILINE)
    for name, value in shell.environment.items():
        monkeypatch.setenv(name, value)
    NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(shell.folder)}}).execute()
    for name in ("run/report.html", "predicted/index.html", "explained/explain.html", "detector.onnx"):
        assert (shell.folder / name).is_file(), name
