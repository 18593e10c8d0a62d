"""The page's templates, and the one function that fills them; whatever is put in is escaped."""

from ffpp_prep.text.pages import environment

__all__ = ["render"]


def render(name: str, **values: object) -> str:
    """Returns the template `name` filled with `values`. A value that is missing raises jinja2.UndefinedError."""
    return environment("dfd_train.report").get_template(name).render(**values)
