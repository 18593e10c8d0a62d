"""HTML pages: one way to fill templates, one frame for them, base.html, and one style sheet, style.css."""

from __future__ import annotations

from collections.abc import MutableMapping
from functools import cache
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, Template, TemplateNotFound

__all__ = ["environment", "style_sheet"]


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
    """Returns what fills the templates in a package's folder, which extend base.html; all values are escaped."""
    own, common = PackageLoader(package, folder), PackageLoader("ffpp_prep.text", "pages")
    return Environment(
        loader=_Loader([own, common]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def style_sheet() -> str:
    """Returns the style sheet of all pages."""
    return environment("ffpp_prep.text", "pages").get_template("style.css").render()
