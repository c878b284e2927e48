"""A page as one file of HTML that asks for nothing else."""

from __future__ import annotations

from functools import cache
from typing import Any

from bayesmargins.reporting.drawing import within_page
from bayesmargins.reporting.page_blocks import Page

__all__ = ["html_of"]


def html_of(page: Page) -> str:
    """The text of the file; what stands in the page is escaped by the template."""
    text: str = _template().render(page=page)
    return text


@cache
def _template() -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("bayesmargins.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["element"] = lambda picture: Markup(within_page(picture.svg, picture.name, picture.alt))
    return environment.get_template("page.html.j2")
