"""HTML pages: one way to fill templates, and one style sheet, base.css, under what a kind of page has of its own."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template, TemplateNotFound

__all__ = ["base_css", "environment"]


class _Loader(ChoiceLoader):
    """jinja2's error for a missing template is an OSError, as if a file of the user's were missing."""

    def load(
        self, environment: Environment, name: str, globals: MutableMapping[str, Any] | None = None
    ) -> Template:
        try:
            return super().load(environment, name, globals)
        except TemplateNotFound as missing:
            raise LookupError(f"the package lacks its template {missing.name}") from missing


@cache
def environment(package: str, folder: str = "templates") -> Environment:
    """Returns what fills the templates in a package's folder, which may include base.css; all values are escaped."""
    own, common = PackageLoader(package, folder), PackageLoader("ffpp_prep.text", "pages")
    return Environment(
        loader=_Loader([own, common]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def base_css() -> str:
    """Returns the style sheet that all pages have in common."""
    return environment("ffpp_prep.text", "pages").get_template("base.css").render()
