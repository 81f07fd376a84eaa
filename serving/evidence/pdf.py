"""Evidence as PDF, with the font embedded, so that Korean and Chinese read the same everywhere."""

from __future__ import annotations

import io
import logging
import math
import re
from pathlib import Path

from fpdf import FPDF, FontFace

from serving.evidence.parts import Document, Photo, Section

_KOREAN_FACE = 1  # of the collection: JP, KR, SC, TC, HK
_MARGIN = 16.0  # millimetres, A4
_BLUE, _SOFT, _INK, _LINE = (31, 78, 121), (90, 102, 117), (26, 34, 48), (215, 221, 228)
_PHOTO_MM = 56.0
_LABEL_MM = 44.0
_LINES_MAX = 42  # a row must fit on a page; the whole stands in the JSON
_WIDEST_MM = 3.3  # of a character
# What the font does not draw, and signs that turn the direction of text.
_UNDRAWN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff\u200b-\u200f\u202a-\u202e\ufeff]"
)
logging.getLogger("fontTools").setLevel(logging.WARNING)


class _Pages(FPDF):
    """A4 with the evidence's id and page number at the foot."""

    def __init__(self, document: Document) -> None:
        super().__init__(format="A4")
        self.foot = f"{document.subject}   {document.digest[1][:16]}"
        self.page_word = document.page_word
        self.set_margins(_MARGIN, _MARGIN)
        self.set_auto_page_break(True, margin=18)
        self.add_font("text", fname=_font(), collection_font_number=_KOREAN_FACE)
        self.set_title(f"{document.title} {document.subject}")
        self.set_lang(document.language)
        self.set_creator("listing-risk")

    def footer(self) -> None:
        """Write the foot of a page."""
        self.set_y(-14)
        self.set_font("text", size=7.5)
        self.set_text_color(*_SOFT)
        self.cell(0, 5, f"{self.foot}   {self.page_word} {self.page_no()}", align="C")


def _font() -> Path:
    import noto_cjk_sans_otc

    return Path(str(noto_cjk_sans_otc.FONT_PATH))


def pdf_of(document: Document) -> bytes:
    """Draw an evidence as PDF.

    Characters beyond the basic plane, such as emoji, are shown as a box: the font has none of them.
    """
    pages = _Pages(document)
    pages.add_page()
    _line(pages, document.title, 17, _INK, 9)
    for text in (document.subject, document.made, f"{document.digest[0]}: {document.digest[1]}"):
        _line(pages, text, 8.5, _SOFT, 4.6)
    for section in document.sections:
        _section(pages, section)
    return bytes(pages.output())


def drawable(text: str) -> str:
    """Return a text as the font can draw it."""
    return _UNDRAWN.sub("□", text)


def fitting(text: str, width_mm: float) -> str:
    """Return as much of a text as takes `_LINES_MAX` lines of a width."""
    per_line = max(1, int(width_mm / _WIDEST_MM))
    kept: list[str] = []
    left = _LINES_MAX
    for line in text.split("\n"):
        needed = max(1, math.ceil(len(line) / per_line))
        if needed > left:
            return "\n".join([*kept, line[: max(0, left * per_line - 1)] + "…"])
        kept.append(line)
        left -= needed
    return "\n".join(kept)


def _line(pages: _Pages, text: str, size: float, colour: tuple[int, int, int], height: float) -> None:
    pages.set_font("text", size=size)
    pages.set_text_color(*colour)
    pages.multi_cell(0, height, drawable(text), new_x="LMARGIN", new_y="NEXT", align="L")


def _section(pages: _Pages, section: Section) -> None:
    if pages.will_page_break(40):
        pages.add_page()
    pages.ln(4)
    _line(pages, section.heading, 11.5, _BLUE, 6.5)
    pages.set_draw_color(*_BLUE)
    pages.line(pages.l_margin, pages.get_y(), pages.w - pages.r_margin, pages.get_y())
    pages.ln(1.5)
    if section.facts:
        _facts(pages, section.facts)
    elif section.rows:
        _table(pages, section)
    elif section.photos:
        _photos(pages, section.photos)
    else:
        _line(pages, section.empty or "-", 9, _SOFT, 5)


def _facts(pages: _Pages, facts: tuple[tuple[str, str], ...]) -> None:
    pages.set_font("text", size=9)
    pages.set_draw_color(255, 255, 255)
    pages.set_text_color(*_INK)
    width = pages.epw
    with pages.table(
        col_widths=(_LABEL_MM, width - _LABEL_MM),
        width=width,
        first_row_as_headings=False,
        line_height=5,
        borders_layout="NONE",
        align="LEFT",
        text_align="LEFT",
        padding=0.6,
    ) as table:
        for name, value in facts:
            row = table.row()
            row.cell(drawable(name), style=FontFace(color=_SOFT))
            row.cell(fitting(drawable(value), width - _LABEL_MM))


def _table(pages: _Pages, section: Section) -> None:
    pages.set_font("text", size=8)
    pages.set_draw_color(*_LINE)
    pages.set_text_color(*_INK)
    cells = [[" ".join(drawable(cell).split()) for cell in row] for row in section.rows]
    longest = [max(len(row[n]) for row in [section.columns, *cells]) for n in range(len(section.columns))]
    widths = [min(max(size, 7), 46) for size in longest]
    share = [pages.epw * width / sum(widths) for width in widths]
    cut = [[fitting(cell, share[n]) for n, cell in enumerate(row)] for row in cells]
    with pages.table(
        col_widths=tuple(widths),
        width=pages.epw,
        line_height=4.4,
        borders_layout="HORIZONTAL_LINES",
        align="LEFT",
        text_align="LEFT",
        headings_style=FontFace(color=_SOFT, emphasis=""),
        padding=0.8,
    ) as table:
        for row in [list(section.columns), *cut]:
            drawn = table.row()
            for cell in row:
                drawn.cell(cell)


def _photos(pages: _Pages, photos: tuple[Photo, ...]) -> None:
    for photo in photos:
        if pages.will_page_break(_PHOTO_MM + 8):
            pages.add_page()
        drawn = False
        if photo.content is not None:
            try:
                pages.image(io.BytesIO(photo.content), h=_PHOTO_MM, w=_PHOTO_MM, keep_aspect_ratio=True)
                drawn = True
            except Exception:  # a hostile picture must not stop the evidence of everything else
                drawn = False
        _line(pages, photo.caption + ("" if drawn else f": {photo.media_type}"), 8, _SOFT, 5)
