"""Writes docs/tutorial.ipynb: docs/tutorial.md as a notebook, with the first cells that Colab and Kaggle need.

    python tools/notebook.py

All else stands in the page, and tests/docs compares the two: the notebook's commands are those that the tests run.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE, NOTEBOOK = DOCS / "tutorial.md", DOCS / "tutorial.ipynb"
BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```\n?', re.MULTILINE | re.DOTALL)
IMAGE = re.compile(r"^!\[.*?\]\(.*?\)(?:\{.*?\})?\n?", re.MULTILINE)
WHERE = """\
## 1. Install

The notebook needs the repository's files; a GPU is not needed.

- **On your machine**: `make setup` in a clone, then open this file in an environment with the packages; the next cell
  then does nothing.
- **Colab**: pack the repository (`git archive --prefix=dfd/ -o dfd.zip HEAD`), upload `dfd.zip` in the panel *Files*,
  then run the next cell. What is written to `/content` is lost at the end; copy `run` and `predicted` to your Drive to
  keep them.
- **Kaggle**: add `dfd.zip` as a dataset (*Add input*, *Upload*), switch *Internet* on, then run the next cell. What is
  in `/kaggle/working` is kept when you save a version.

The cell keeps the torch that Colab and Kaggle have.
"""
INSTALL = """\
import shutil, subprocess, sys
from pathlib import Path

if Path("dfd.zip").exists():
    shutil.unpack_archive("dfd.zip")
elif found := sorted(Path("/kaggle/input").glob("**/packages/dfd-train")):
    shutil.copytree(found[0].parents[1], "dfd", dirs_exist_ok=True)
if Path("dfd/packages").is_dir():
    packages = ["reseption-models", "ffpp-prep[sample]", "dfd-train[explain,onnx]"]
    paths = [f"./dfd/packages/{name}" for name in packages]
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", *paths], check=True)
"""


def notebook() -> str:
    """The notebook's text."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = text.index("## 1. Install"), text.index("## 2. ")
    cells = [*_cells(text[:begin]), _cell("markdown", WHERE), _cell("code", INSTALL), *_cells(text[end:])]
    content = {
        "cells": [{**cell, "id": f"cell-{number:02d}"} for number, cell in enumerate(cells)],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _cells(text: str) -> list[dict[str, object]]:
    """Commands and files as code, all else as text; pictures are the page's own."""
    cells, at = [], 0
    for block in BLOCK.finditer(text):
        cells.append(_cell("markdown", text[at : block.start()]))
        kind, title, body = block.groups()
        if kind == "sh":
            cells.append(
                _cell("code", "".join(f"!{line}\n" for line in body.replace("\\\n", " ").splitlines()))
            )
        else:
            cells.append(_cell("code", f"%%writefile {title}\n{body}" if title else body))
        at = block.end()
    cells.append(_cell("markdown", text[at:]))
    return [cell for cell in cells if cell["source"]]


def _cell(kind: str, text: str) -> dict[str, object]:
    source = (IMAGE.sub("", text) if kind == "markdown" else text).strip("\n").splitlines(keepends=True)
    code = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source, **code}


if __name__ == "__main__":
    NOTEBOOK.write_text(notebook(), encoding="utf-8")
