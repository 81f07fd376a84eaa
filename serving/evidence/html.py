"""Evidence as one HTML file that needs nothing beside it."""

from __future__ import annotations

import base64
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from serving.evidence.parts import Document, Photo

# Only pictures that a browser draws as pictures; SVG could carry script.
_DRAWN = frozenset({"image/jpeg", "image/png", "image/webp", "image/gif"})


@cache
def _template() -> Environment:
    made = Environment(
        loader=PackageLoader("serving", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["address"] = _address
    return made


def _address(photo: Photo) -> str:
    if photo.content is None or photo.media_type not in _DRAWN:
        return ""
    return f"data:{photo.media_type};base64,{base64.b64encode(photo.content).decode()}"


def html_of(document: Document) -> str:
    """Draw an evidence as HTML; everything in it is escaped, and it loads nothing."""
    return _template().get_template("evidence.html").render(document=document)
