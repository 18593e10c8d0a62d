"""What a stranger and a machine meet first: workflows, citation, container, forms, and the site's search."""

import re
import shutil
import tomllib

import playwright.sync_api
import pytest
import yaml
from markdown_pages import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PROJECTS = {
    name: tomllib.loads((ROOT / f"packages/{name}/pyproject.toml").read_text())["project"]
    for name in ("reseption-models", "ffpp-prep", "dfd-train")
}


def test_workflows_call_targets_that_exist():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    workflows = list((ROOT / ".github/workflows").glob("*.yml"))
    called = {target for path in workflows for target in re.findall(r"run: make (\S+)", path.read_text())}
    assert {"check", "test", "test-full", "docs"} <= called <= targets


def test_workflows_try_every_python_and_macos_with_actions_named_by_commit():
    text = (ROOT / ".github/workflows/ci.yml").read_text()
    jobs = yaml.safe_load(text)["jobs"]
    tried = jobs["test"]["strategy"]["matrix"]["include"]
    assert {row["python"] for row in tried} == {"3.11", "3.12", "3.13"}
    assert any(row["os"].startswith("macos") for row in tried)
    for action in re.findall(r"uses: (.*)", text):
        assert re.fullmatch(r"[\w/-]+@[0-9a-f]{40}  # v[\d.]+", action), action


def test_the_citation_has_the_packages_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    versions = {project.get("version") for project in PROJECTS.values()} - {None}
    assert versions <= {citation["version"]}
    assert citation["license"] == "Apache-2.0"


@pytest.mark.parametrize("name", ["Dockerfile", "environment.yml"])
def test_what_is_installed_exists(name):
    installed = re.findall(r"packages/([\w-]+)(?:\[([\w,]+)\])?", (ROOT / name).read_text())
    assert {package for package, _ in installed} == PROJECTS.keys()
    for package, extras in installed:
        assert set(filter(None, extras.split(","))) <= PROJECTS[package]["optional-dependencies"].keys()


def test_forms_ask_for_what_a_report_needs():
    for path in (ROOT / ".github/ISSUE_TEMPLATE").glob("*.yml"):
        form = yaml.safe_load(path.read_text())
        if path.stem != "config":
            assert form["name"] and form["description"]
            asked = [part for part in form["body"] if part["type"] != "markdown"]
            assert len({part["id"] for part in asked}) == len(asked) > 1


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("page", ["index.html", "models/library.html"])
def test_the_search_works_in_a_page_that_is_opened_from_a_folder(site, page):
    with playwright.sync_api.sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        view = browser.new_page(viewport={"width": 1400, "height": 900})
        asked: list[str] = []
        view.on("request", lambda request: asked.append(request.url))
        view.goto((site / page).as_uri())
        view.locator(".md-search__input").press_sequentially("balanced accuracy")
        view.locator(".md-search-result__link").first.wait_for(timeout=60_000)
        found = [link.get_attribute("href") or "" for link in view.locator(".md-search-result__link").all()]
        assert any(link.startswith((site / "metrics.html").as_uri()) for link in found), found
        assert [url for url in asked if not url.startswith(("file:", "data:", "about:"))] == []
        browser.close()
