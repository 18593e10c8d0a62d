"""The pages of the documentation and the code that stands in them.

In pages, a block ```sh holds commands that run one after another in one folder; ```text holds what only a person does.
"""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READMES = [ROOT / "README.md", *sorted((ROOT / "packages").glob("*/README.md"))]
BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```', re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(ffpp-prep|dfd-train) ([a-z][a-z-]*)([^#|]*)")


def blocks(page: Path, language: str) -> list[tuple[str, str]]:
    """(title, content) of a page's blocks of one language."""
    return [(title, body) for kind, title, body in BLOCK.findall(page.read_text()) if kind == language]


def commands(page: Path) -> list[str]:
    """The commands of a page's ```sh blocks, lines that continue joined."""
    text = "".join(body for _, body in blocks(page, "sh")).replace("\\\n", " ")
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def code(page: Path) -> list[str]:
    """Every line of a page's blocks and every span of code in its sentences."""
    text = page.read_text()
    lines = "".join(body for _, _, body in BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    return [line.strip() for line in [*lines, *re.findall(r"`([^`]+)`", BLOCK.sub("", text))]]
