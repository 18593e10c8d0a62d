"""Runs every benchmark at its default size, one after another, and writes docs/benchmarks.md: `make bench`.

Name some to renew only those: `python tools/bench.py codecs loader`. A benchmark prints Markdown on standard output,
and ends with status 77 where what it measures isn't here (a GPU, another project's package).
"""

from __future__ import annotations

import ast
import os
import platform
import re
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

NOT_HERE = 77
ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Ratios measured side by side in one run; medians unless a table says otherwise. Absolute times are those of the one
machine named below a table and of nothing else. `make bench` runs them all, after `make demo`, whose data some of them
read, and writes this page; the command of each stands above its result."""


def main() -> int:
    """Runs the benchmarks named, or all; returns how many failed."""
    scripts = [
        path
        for path in sorted((ROOT / "benchmarks").glob("*.py"))
        if "__main__" in path.read_text() and (path.stem in sys.argv[1:] or not sys.argv[1:])
    ]
    sections = _read_sections()
    failed, left_out = 0, 0
    for number, script in enumerate(scripts, 1):
        print(f"[{number}/{len(scripts)}] python benchmarks/{script.name}", flush=True)
        started = time.monotonic()
        result = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, cwd=ROOT, check=False
        )
        print(result.stdout, flush=True)
        if result.returncode == NOT_HERE:
            left_out += 1
            print(f"left out: {result.stderr.strip()}", flush=True)
            continue
        if result.returncode:
            failed += 1
            print("\n".join(result.stderr.splitlines()[-5:]), flush=True)
            continue
        sections[script.name] = _section(script, result.stdout, time.monotonic() - started)
        PAGE.write_text("\n\n".join([HEAD, *(sections[name] for name in sorted(sections))]) + "\n")
    print(f"{PAGE.relative_to(ROOT)}: {len(sections)} benchmarks; {left_out} left out, {failed} failed")
    return failed


def _section(script: Path, output: str, seconds: float) -> str:
    """What the script's docstring says, and what it printed below the command that was run."""
    paragraphs = (ast.get_docstring(ast.parse(script.read_text())) or script.stem).split("\n\n")
    prose = [text for text in paragraphs[1:] if not text.startswith(" ")]
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}"
    commands = "; ".join(f"`{line}`" for line in _usage(paragraphs[1], script.name))
    command = f"{commands}, {max(1, round(seconds / 60))} min"
    title = f"## {paragraphs[0].rstrip('.')}"
    return "\n\n".join([title, *prose, command, output.strip(), f"*{machine}*"])


def _usage(paragraph: str, script: str) -> list[str]:
    """The commands of a docstring's first paragraph, comments aside, up to the first that runs the script."""
    lines = [line.split("  #")[0].strip() for line in paragraph.splitlines()]
    return lines[: next(index for index, line in enumerate(lines, 1) if script in line)]


def _read_sections() -> dict[str, str]:
    """The results that the page holds already, by script."""
    if not PAGE.is_file():
        return {}
    parts = [part.strip() for part in re.split(r"(?m)^(?=## )", PAGE.read_text())[1:]]
    named = {re.search(r"python benchmarks/(\S+\.py)`", part): part for part in parts}
    return {
        found[1]: part
        for found, part in named.items()
        if found and (ROOT / "benchmarks" / found[1]).is_file()
    }


def _processor() -> str:
    try:
        names = re.findall(r"(?m)^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text())
    except OSError:
        names = []
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    sys.exit(min(main(), 1))
