"""Templates of pages belong to the program: one that is missing is no fault of the user's."""

import pytest
from jinja2 import Environment

from ffpp_prep.text.pages import environment


@pytest.mark.parametrize("name", ["missing.html", "includes"])
def test_a_missing_template_is_a_bug_and_no_file_of_the_user_s(name: str) -> None:
    templates: Environment = environment("ffpp_prep.text", "pages")
    with pytest.raises(LookupError, match=r"lacks its template missing\.html") as caught:
        if name == "includes":
            templates.from_string("{% include 'missing.html' %}").render()
        else:
            templates.get_template(name)
    assert not isinstance(caught.value, OSError)
