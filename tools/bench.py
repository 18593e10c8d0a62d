"""Runs every benchmark at its default size, one after another, and writes docs/benchmarks.md: `make bench`.

Name some to renew only those: `python tools/bench.py codecs loader`. With --gpu those run that say how on a GPU, and
docs/benchmarks-gpu.md is written. A benchmark prints Markdown on standard output, and ends with status 77 where what it
measures isn't here (a GPU, another project's package).
"""

from __future__ import annotations

import argparse
import ast
import os
import platform
import re
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

NOT_HERE = 77
ROOT = Path(__file__).resolve().parent.parent
ON_CPU = """# Benchmarks

Ratios measured side by side in one run; medians unless a table says otherwise. Absolute times are those of the one
machine named below a table and of nothing else. `make bench` runs them all, after `make demo`, whose data some of them
read, and writes this page; the command of each stands above its result. On a GPU: [apart](benchmarks-gpu.md)."""
ON_GPU = """# Benchmarks on a GPU

What a processor alone cannot tell, measured as [the others](benchmarks.md) are: `make demo`, then
`python tools/bench.py --gpu`, which writes this page."""


@dataclass(frozen=True)
class Benchmark:
    """A script and the lines of its docstring that are run, the script's own last."""

    script: Path
    commands: tuple[str, ...]

    @property
    def arguments(self) -> list[str]:
        return shlex.split(self.commands[-1].partition(self.script.name)[2])


def main() -> int:
    """Runs the benchmarks named, or all; returns how many failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="default: all")
    parser.add_argument("--gpu", action="store_true", help="those that run on a GPU")
    options = parser.parse_args()
    if options.gpu and not _sees_gpu():
        parser.error("torch sees no GPU here")
    page = ROOT / "docs" / ("benchmarks-gpu.md" if options.gpu else "benchmarks.md")
    found = find_benchmarks(options.names, options.gpu)
    sections = _read_sections(page)
    failed, left_out = 0, 0
    for number, benchmark in enumerate(found, 1):
        print(f"[{number}/{len(found)}] {benchmark.commands[-1]}", flush=True)
        started = time.monotonic()
        command = [sys.executable, benchmark.script, *benchmark.arguments]
        result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
        print(result.stdout, flush=True)
        if result.returncode == NOT_HERE:
            left_out += 1
            print(f"left out: {result.stderr.strip()}", flush=True)
            continue
        if result.returncode:
            failed += 1
            print("\n".join(result.stderr.splitlines()[-5:]), flush=True)
            continue
        sections[benchmark.script.name] = _section(benchmark, result.stdout, time.monotonic() - started)
        head = f"{ON_GPU}{_not_yet(sections)}" if options.gpu else ON_CPU
        page.write_text("\n\n".join([head, *(sections[name] for name in sorted(sections))]) + "\n")
    print(f"{page.relative_to(ROOT)}: {len(sections)} benchmarks; {left_out} left out, {failed} failed")
    return failed


def _sees_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def find_benchmarks(names: list[str], gpu: bool) -> list[Benchmark]:
    """Those named, or all; on a GPU only those whose docstring has a line for it."""
    scripts = [
        path
        for path in sorted((ROOT / "benchmarks").glob("*.py"))
        if "__main__" in path.read_text() and (path.stem in names or not names)
    ]
    found = [Benchmark(script, _usage(script, gpu)) for script in scripts]
    return [benchmark for benchmark in found if benchmark.commands]


def _usage(script: Path, gpu: bool) -> tuple[str, ...]:
    """The commands of the docstring up to the first that runs the script; for a GPU the one that says so, or none."""
    lines = [line.strip().partition("  #") for line in _paragraphs(script)[1].splitlines()]
    if gpu:
        return tuple(command.strip() for command, _, remark in lines if "a GPU" in remark)[:1]
    commands = [command.strip() for command, _, _ in lines]
    return tuple(commands[: next(n for n, line in enumerate(commands, 1) if script.name in line)])


def _section(benchmark: Benchmark, output: str, seconds: float) -> str:
    """What the script's docstring says, and what it printed below the command that was run."""
    paragraphs = _paragraphs(benchmark.script)
    prose = [text for text in paragraphs[1:] if not text.startswith(" ")]
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {version('torch')}"
    commands = "; ".join(f"`{line}`" for line in benchmark.commands)
    command = f"{commands}, {max(1, round(seconds / 60))} min"
    title = f"## {paragraphs[0].rstrip('.')}"
    return "\n\n".join([title, *prose, command, output.strip(), f"*{machine}*"])


def _paragraphs(script: Path) -> list[str]:
    return (ast.get_docstring(ast.parse(script.read_text())) or script.stem).split("\n\n")


def _not_yet(sections: dict[str, str]) -> str:
    """Which benchmarks have no result on a GPU so far, as a sentence."""
    scripts = [benchmark.script.name for benchmark in find_benchmarks([], gpu=True)]
    missing = ", ".join(f"`{name}`" for name in scripts if name not in sections)
    return f" Not measured on one yet: {missing}." if missing else ""


def _read_sections(page: Path) -> dict[str, str]:
    """The results that the page holds already, by script."""
    if not page.is_file():
        return {}
    parts = [part.strip() for part in re.split(r"(?m)^(?=## )", page.read_text())[1:]]
    named = {re.search(r"python benchmarks/(\S+\.py)[ `]", part): part for part in parts}
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
