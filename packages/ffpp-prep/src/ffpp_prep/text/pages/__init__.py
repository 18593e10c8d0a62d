"""HTML pages: one way to fill templates, and one style sheet, base.css, under what a kind of page has of its own."""

from __future__ import annotations

from functools import cache

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

__all__ = ["base_css", "environment"]


@cache
def environment(package: str, folder: str = "templates") -> Environment:
    """Returns what fills the templates in a package's folder, which may include base.css; all values are escaped."""
    own, common = PackageLoader(package, folder), PackageLoader("ffpp_prep.text", "pages")
    return Environment(
        loader=ChoiceLoader([own, common]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def base_css() -> str:
    """Returns the style sheet that all pages have in common."""
    return environment("ffpp_prep.text", "pages").get_template("base.css").render()
