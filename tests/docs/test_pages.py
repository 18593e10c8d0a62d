"""The documentation against the code: it builds strictly, its commands and names exist, its pictures are true."""

import argparse
import importlib
import importlib.util
import re
import sys
import tomllib
import types

import pytest
from markdown_pages import COMMAND, DOCS, PAGES, READMES, ROOT, blocks, code

from ffpp_prep.command_line.program import build_parser


@pytest.mark.slow
def test_the_site_builds_strictly_with_every_page(site):
    assert {
        page.relative_to(DOCS).with_suffix(".html").as_posix().replace("README", "index") for page in PAGES
    } <= {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    nav = (ROOT / "mkdocs.yml").read_text()
    assert [page.name for page in PAGES if page.relative_to(DOCS).as_posix() not in nav] == []


@pytest.mark.slow
def test_pages_load_nothing_from_other_servers(site):
    loads = re.compile(
        r"<(?:script|img|iframe|source)[^>]*\ssrc=\"?(?:https?:)?//|<link[^>]*\shref=\"?(?:https?:)?//"
    )
    for page in site.rglob("*.html"):
        assert not loads.search(page.read_text()), page.name
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//", sheet.read_text()), sheet.name


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_lists_and_tables_begin_after_an_empty_line(page):
    """Else the site shows them as text; GitHub does not."""
    paragraphs = re.split(r"\n\s*\n|^#.*\n|^```.*\n", page.read_text(), flags=re.MULTILINE)
    for paragraph in paragraphs:
        first, *rest = paragraph.strip().splitlines() or [""]
        if not re.match(r"(?:[-*|]|\d+\.) ?", first):
            assert not [line for line in rest if re.match(r"(?:- |\d+\. |\|)", line)], paragraph


def test_api_pages_hold_what_they_name(site):
    for page in sorted((DOCS / "api").glob("*.md")):
        html = (site / "api" / f"{page.stem}.html").read_text()
        for name in re.findall(r"^::: (\S+)", page.read_text(), re.MULTILINE):
            assert f'id="{name}"' in html, name


def parsers(program: str) -> dict[str, argparse.ArgumentParser]:
    """The parser of each subcommand."""
    package = {"ffpp-prep": "ffpp_prep", "dfd-train": "dfd_train"}[program]
    parser = build_parser(importlib.import_module(f"{package}.cli").PROGRAM)
    (subparsers,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return dict(subparsers.choices)


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_and_flags_exist(page):
    known = {program: parsers(program) for program in ("ffpp-prep", "dfd-train")}
    for found in filter(None, map(COMMAND.match, code(page))):
        program, name, rest = found.groups()
        assert name in known[program], found[0]
        flags = {flag for action in known[program][name]._actions for flag in action.option_strings}
        for flag in re.findall(r"(?<!\S)--?[a-z][a-z0-9-]*", rest):
            assert flag in flags, found[0]


@pytest.mark.parametrize("page", [*PAGES, *READMES], ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_pip_shall_install_exists(page):
    for line in code(page):
        for name, extras in re.findall(
            r"(?<=[\s'/])(ffpp-prep|reseption-models|dfd-train)(?:\[([\w,]+)\])?", line
        ):
            if line.startswith("pip install"):
                project = tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text())["project"]
                assert set(filter(None, extras.split(","))) <= project["optional-dependencies"].keys(), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_names_of_code_exist(page):
    text = page.read_text()
    for name in re.findall(r"`((?:ffpp_prep|reseption_models|dfd_train)(?:\.\w+)*)`", text):
        assert exists(name), name
    for path in re.findall(r"`((?:tests|tools|benchmarks|packages|docs)/[\w./-]+\.\w+)`", text):
        assert (ROOT / path).exists(), path
    settings = ROOT / "packages/dfd-train/src/dfd_train/settings"
    known = {path.stem for folder in ("presets", "recipes") for path in (settings / folder).glob("*.toml")}
    for name in re.findall(r"--config ([\w-]+)(?!\S)", text):
        assert name in known, name
    for name in re.findall(r"`((?:reseption|early|dual|xception)-[\w-]+)`", text):
        assert name in known or name == "reseption-models", name


def exists(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    module, _, attribute = name.rpartition(".")
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    return bool(module) and hasattr(importlib.import_module(module), attribute)


def tool(name: str) -> types.ModuleType:
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"tools/{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_of_settings_is_the_code_s():
    written = (DOCS / "settings.md").read_text()
    assert written == tool("write_settings").page(), "python tools/write_settings.py docs/settings.md"


def test_the_picture_of_the_architecture_is_true():
    drawing = tool("draw_architecture")
    assert (DOCS / "images/architecture.svg").read_text() == drawing.draw()
    for step in (*drawing.STEPS, drawing.NETWORKS):
        assert exists(step.function), step.function
    drawn = {step.command for step in drawing.STEPS}
    every = {f"{program} {name}" for program in ("ffpp-prep", "dfd-train") for name in parsers(program)}
    assert drawn <= every
    assert {name for name in every - drawn if name.startswith("dfd-train")} <= {
        "dfd-train preview-transforms",
        "dfd-train verify-report",
        *("dfd-train adopt", "dfd-train calibrate"),  # a network from elsewhere, in a run's place
    }


def test_every_table_and_figure_of_the_thesis_has_its_place():
    text = (DOCS / "thesis.md").read_text()
    ranges = re.findall(r"Figs\. (\d)\.(\d+)–\d\.(\d+)|(\d)\.(\d+)–\d\.(\d+)", text)
    named = set(re.findall(r"(?:Figs?\.|Table) (\d\.\d+)", text))
    for chapter, first, last, other, low, high in ranges:
        start, stop = int(first or low), int(last or high)
        named |= {f"{chapter or other}.{number}" for number in range(start, stop + 1)}
    figures = {2: 3, 3: 9, 4: 5, 5: 9, 6: 11, 7: 10}
    tables = {5: 6, 7: 8}
    for counts in (figures, tables):
        for chapter, count in counts.items():
            for number in range(1, count + 1):
                assert f"{chapter}.{number}" in named, f"{chapter}.{number}"
    for table in (f"{chapter}.{n}" for chapter, count in tables.items() for n in range(1, count + 1)):
        assert f"Table {table}" in text, table


def test_every_section_of_the_thesis_has_its_place():
    text = (DOCS / "thesis.md").read_text()
    named = set(re.findall(r"\d\.\d(?:\.\d)?", re.sub(r"(?:Figs?\.|Table) [\d.–, ]+", "", text)))
    for section, first, last in re.findall(r"(\d\.\d)\.(\d)–\d\.\d\.(\d)", text):
        named |= {f"{section}.{number}" for number in range(int(first), int(last) + 1)}
    sections = {
        3: (2, 2, 0),
        4: (4, 0, 1, 3),
        5: (5, 0, 3, 0),
        6: (0, 0),
        7: (7, 0, 0),
    }  # subsections of each
    for chapter, parts in sections.items():
        for part, count in enumerate(parts, 1):
            wanted = [f"{chapter}.{part}", *(f"{chapter}.{part}.{number}" for number in range(1, count + 1))]
            assert not [
                name for name in wanted if not any(f"{found}.".startswith(f"{name}.") for found in named)
            ]


def test_the_tutorial_trains_as_the_demonstration_does():
    ((title, settings),) = blocks(DOCS / "tutorial.md", "toml")
    assert title == "settings.toml"
    assert tomllib.loads(settings) == tomllib.loads((ROOT / "tools/demo.toml").read_text())
