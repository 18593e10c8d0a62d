"""What one package may use of another is public: named in `__all__`, described, and of a version that fits."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DFD_TRAIN = ROOT / "packages/dfd-train/src/dfd_train"


def public_modules() -> list[str]:
    """Those of ffpp_prep that the import linter lets dfd_train know, and those that it names public."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = settings["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["name"].startswith("dfd_train knows ffpp_prep's public wings"))
    found = {"ffpp_prep", "dfd_train.data", "dfd_train.data.face_crops", "reseption_models"}
    for allowed in contract["ignore_imports"]:
        knows, _, name = allowed.partition(" -> ")
        if knows != "dfd_train.**":  # an exception for one module makes nothing public
            continue
        wing = name.removesuffix(".**")
        if wing != name:
            paths = importlib.import_module(wing).__path__
            found |= {f"{wing}.{module.name}" for module in pkgutil.iter_modules(paths)}
        else:
            found.add(name)
    return sorted(found)


@pytest.mark.parametrize("name", public_modules())
def test_public_names_are_listed_and_described(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    if not hasattr(module, "__all__"):  # only where nothing of it is for others
        public = [
            n for n, thing in vars(module).items() if getattr(thing, "__module__", "") == name and n[0] != "_"
        ]
        assert public == []
        return
    for public in module.__all__:
        thing = getattr(module, public)
        if inspect.isclass(thing) or inspect.isfunction(thing):
            assert thing.__doc__, public


def imports_of(path: Path) -> Iterator[tuple[str, str]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ffpp_prep"):
            yield from ((str(node.module), alias.name) for alias in node.names)


def test_dfd_train_takes_public_names_only() -> None:
    taken = {pair for path in DFD_TRAIN.rglob("*.py") for pair in imports_of(path)}
    assert len(taken) > 30
    hidden = []
    for module, name in sorted(taken):
        listed = getattr(importlib.import_module(module), "__all__", ())
        if name not in listed and f"{module}.{name}" not in public_modules():
            hidden.append(f"{module}.{name}")
    assert hidden == []


def test_the_table_of_where_things_live_names_what_there_is() -> None:
    page = (ROOT / "docs/where.md").read_text()
    roots = dict(re.findall(r"`([PTR])` is `([^`]+)`", page))
    rows = [line for line in page.splitlines() if line.startswith("| ")][1:]
    assert len(roots) == 3 and len(rows) >= 70 and {row.count("|") for row in rows} == {4}
    tops = {path.name for path in ROOT.iterdir()}
    for row in rows:
        folder, files, symbols = ROOT, [], []
        names = re.findall(r"`([^`]+)`", "".join(row.split("|")[2:]))
        for name in (name.removeprefix("python ").split()[0] for name in names):
            if name.isidentifier():
                symbols.append(name)
                continue
            if name[:2] in ("P/", "T/", "R/"):
                place = ROOT / roots[name[0]] / name[2:]
                folder = place if place.is_dir() else place.parent
            else:
                place = ROOT / name if name.partition("/")[0] in tops else folder / name
                folder = place.parent if place.suffix == ".py" else folder
            assert place.exists(), name
            files += [place] if place.is_file() else []
        for symbol in symbols:
            assert any(re.search(rf"\b{symbol}\b", file.read_text()) for file in files), symbol


@pytest.mark.parametrize("name", ["ffpp-prep", "reseption-models", "dfd-train"])
def test_a_version_stands_in_one_place(name: str) -> None:
    folder = ROOT / "packages" / name
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    source = (folder / project["tool"]["hatch"]["version"]["path"]).read_text()
    version = importlib.import_module(name.replace("-", "_")).__version__
    assert f'__version__ = "{version}"' in source
    assert re.search(rf"^## {re.escape(version)}$", (folder / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert project["project"]["authors"] and project["project"]["classifiers"]


def test_packages_ask_for_versions_of_each_other_that_fit() -> None:
    project = tomllib.loads((ROOT / "packages/dfd-train/pyproject.toml").read_text())["project"]
    for name in ("ffpp-prep", "reseption-models"):
        (pin,) = (line for line in project["dependencies"] if line.startswith(f"{name}>"))
        least, below = re.fullmatch(rf"{name}>=(\d+\.\d+),<(\d+\.\d+)", pin).groups()
        major, minor = importlib.import_module(name.replace("-", "_")).__version__.split(".")[:2]
        assert (least, below) == (f"{major}.{minor}", f"{major}.{int(minor) + 1}")


def test_a_class_of_a_name_stands_in_one_place() -> None:
    """UserError stands in two: the networks' library is used without ffpp-prep."""
    places: dict[str, list[Path]] = {}
    for path in (ROOT / "packages").glob("*/src/**/*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(path)
    assert len(places) > 200
    assert [name for name, paths in places.items() if len(paths) > 1] == ["UserError"]


def test_packages_that_hold_code_say_what_is_for_others() -> None:
    for path in (ROOT / "packages").glob("*/src/**/__init__.py"):
        code = [node for node in ast.parse(path.read_text()).body if not isinstance(node, ast.Expr)]
        assert not code or "__all__" in path.read_text(), path
