"""Names that would act in a page, a formula or a terminal, and a browser that says whether one did."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from readable import assert_readable

from dfd_train.predict.page import script

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# As the name of a folder too: without a slash.
EVIL = "\"'><img src=x onerror=hacked=1><svg onload=hacked=1><script>hacked=1<!--$\\frac{$\\q\x1b[31m"

ACTIVE = """() => {
    const all = [...document.querySelectorAll("*")];
    const links = all.flatMap(each => ["href", "src", "xlink:href"].map(name => each.getAttribute(name) ?? ""));
    return {
        scripts: [...document.scripts].map(script => script.getAttribute("src") ?? script.textContent),
        handlers: all.flatMap(each => each.getAttributeNames().filter(name => name.startsWith("on"))),
        links: links.filter(link => /^\\s*(javascript|vbscript|data:text)/i.test(link)),
        frames: document.querySelectorAll("iframe, object, embed, base, meta[http-equiv]").length,
        broken: document.querySelectorAll("img[src=x]").length,
        hacked: typeof hacked,
    };
}"""
HARMLESS = {"scripts": [], "handlers": [], "links": [], "frames": 0, "broken": 0, "hacked": "undefined"}


def without_own(found: dict[str, Any]) -> dict[str, Any]:
    """What acts in a page, less the scripts of its own that it has in every case."""
    own = {script(name) for name in ("report", "index")}
    return {**found, "scripts": [text for text in found["scripts"] if text not in own]}


def active(paths: Iterable[Path]) -> dict[str, dict[str, object]]:
    """What acts in each page, as a real browser sees it, by file name; that each can be read is made sure of."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        for path in paths:
            page.goto(path.resolve().as_uri())
            found[str(path)] = without_own(page.evaluate(ACTIVE))
            assert page.locator("body").inner_text().strip()
            assert_readable(page)
        browser.close()
    return found
