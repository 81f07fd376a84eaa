"""A page of hits, misses and false matches. Of third-party photos it is for the eye, never committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from benchmarks.relisting.collect import open_photo
from benchmarks.relisting.edits import edited
from benchmarks.relisting.measure import Judged
from benchmarks.relisting.photos import Original
from benchmarks.results_file import OURS

_CELL = 150
_COLUMNS = 5
_EACH = 15


def draw(judged: Sequence[Judged], photos: Mapping[str, Original], path: Path, *, each: int = _EACH) -> None:
    """Write a page: per kind, pairs of query and bank photo with edit and probability below."""
    ours = pd.concat([one.frame[one.frame["system"] == OURS].assign(exact=one.exact[OURS]) for one in judged])
    copies = ours[ours["kind"] == "copy"]
    kinds = {
        "missed copies, least probable first": copies[copies["score"] < copies["exact"]].nsmallest(
            each, "score"
        ),
        "other products, most probable first": ours[ours["kind"] == "other_product"].nlargest(each, "score"),
        "found copies, a draw": copies[copies["score"] >= copies["exact"]].sample(each, random_state=0),
    }
    height = sum(30 + -(-len(part) // _COLUMNS) * (_CELL + 22) for part in kinds.values())
    page = Image.new("RGB", (_COLUMNS * (2 * _CELL + 10), height), (255, 255, 255))
    top = 0
    for title, part in kinds.items():
        ImageDraw.Draw(page).text(
            (6, top + 6), f"{title} ({len(part)} shown)", (0, 0, 0), ImageFont.load_default(15)
        )
        top += 30
        for place, row in enumerate(part.to_dict("records")):
            corner = (place % _COLUMNS * (2 * _CELL + 10), top + place // _COLUMNS * (_CELL + 22))
            _pair(page, corner, photos, row)
        top += -(-len(part) // _COLUMNS) * (_CELL + 22)
    page.save(path, quality=85)


def _pair(page: Image.Image, corner: tuple[int, int], photos: Mapping[str, Original], row: dict) -> None:
    query = Image.fromarray(open_photo(photos[row["photo"]]).pixels)
    both = (
        edited(query, row["edit"], row["photo"]),
        Image.fromarray(open_photo(photos[row["other"]]).pixels),
    )
    for side, image in enumerate(both):
        image.thumbnail((_CELL, _CELL))
        page.paste(image, (corner[0] + side * _CELL, corner[1]))
    text = f"{row['edit']}  {row['score']:.3f}"
    ImageDraw.Draw(page).text(
        (corner[0] + 2, corner[1] + _CELL + 2), text, (0, 0, 0), ImageFont.load_default(12)
    )
