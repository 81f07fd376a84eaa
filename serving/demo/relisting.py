"""A banned item comes back under another title, with another photo: shown with goods and pictures of our own."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.bans.photos import missing_packages, pictures_of
from serving.run import sample_listings

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console

    from serving.bans.retroaction import BanOffice

SAMPLE_ID = "smp-280f3307fa"
"""Magnetic building tiles of the sample catalogue, whose magnets come loose; invented like all of it."""
REASON = "magnets come loose, flux index 68"
NOTICE = {"regulator": "(invented)", "number": "2026-114", "date": "2026-11-20"}
_COPY: Mapping[str, Any] = {
    "id": "copy-of-the-tiles",
    "title": "★무료배송★ 투명 맥포 자석 블럭 100피스 세트 아기 창의력 교구 어린이날 선물",
    "description": "새 상품입니다. 당일 발송해요.",
    "category": ["완구/취미", "퍼즐/블록"],
    "price": 25900,
    "currency": "KRW",
    "seller": {"id": "hb-9917", "name": "새싹몰"},
    "market": "KR",
    "marketplace": "hanbada",
}
_COLOURS = ((231, 76, 60), (241, 196, 15), (46, 204, 113), (52, 152, 219), (155, 89, 182), (230, 126, 34))
_TILE = 78


def draw_item(size: tuple[int, int] = (640, 560)) -> Image:
    """Draw the banned item: a castle of clear coloured tiles on a table."""
    from PIL import Image, ImageDraw, ImageFilter

    image = Image.new("RGB", size, (244, 241, 234))
    ground = ImageDraw.Draw(image)
    ground.rectangle((0, round(size[1] * 0.8), *size), fill=(214, 199, 175))
    ground.ellipse((70, size[1] * 0.8 - 22, size[0] - 70, size[1] * 0.8 + 34), fill=(189, 173, 148))
    layer = Image.new("RGBA", size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    left, floor = (size[0] - 6 * _TILE) // 2, round(size[1] * 0.83)
    heights = (4, 2, 3, 3, 2, 4)
    for column, height in enumerate(heights):
        for row in range(height):
            x, y = left + column * _TILE, floor - (row + 1) * _TILE
            _tile(draw, x, y, _COLOURS[(column * 2 + row * 3) % 6], door=column in (2, 3) and row == 0)
        _roof(draw, left + column * _TILE, floor - height * _TILE, _COLOURS[(column + height) % 6])
    image.paste(layer, (0, 0), layer)
    return image.filter(ImageFilter.GaussianBlur(0.6))


def _tile(draw: Any, x: int, y: int, colour: tuple[int, int, int], *, door: bool) -> None:
    edge = tuple(part * 3 // 5 for part in colour)
    draw.rounded_rectangle(
        (x, y, x + _TILE, y + _TILE), 7, fill=(*colour, 165), outline=(*edge, 255), width=5
    )
    draw.line((x + 13, y + _TILE - 13, x + _TILE - 13, y + 13), fill=(255, 255, 255, 120), width=5)
    if door:
        draw.rectangle((x + 18, y + 22, x + _TILE - 18, y + _TILE), fill=(70, 52, 38, 235))
    for dx, dy in ((9, 9), (_TILE - 9, 9), (9, _TILE - 9), (_TILE - 9, _TILE - 9)):
        draw.ellipse((x + dx - 4, y + dy - 4, x + dx + 4, y + dy + 4), fill=(60, 60, 66, 255))


def _roof(draw: Any, x: int, y: int, colour: tuple[int, int, int]) -> None:
    corners = [(x, y), (x + _TILE, y), (x + _TILE // 2, y - _TILE + 14)]
    draw.polygon(corners, fill=(*colour, 175), outline=(*(part * 3 // 5 for part in colour), 255), width=5)


def edited(image: Image) -> Image:
    """Edit the photo as a re-lister does: cropped, brightened, smaller, with a banner and a badge over it."""
    from PIL import ImageDraw, ImageEnhance

    width, height = image.size
    copy = image.crop((round(width * 0.09), round(height * 0.14), width, round(height * 0.95)))
    copy = ImageEnhance.Brightness(copy).enhance(1.12).resize((520, 430))
    draw = ImageDraw.Draw(copy)
    draw.rectangle((0, 382, 520, 430), fill=(225, 32, 62))
    font = _font(27)
    draw.text((96, 388), "FREE SHIPPING  100 PCS", fill=(255, 255, 255), font=font)
    draw.ellipse((418, 14, 506, 102), fill=(28, 92, 180))
    draw.text((432, 40), "-30%", fill=(255, 255, 255), font=font)
    return copy


def _font(size: int) -> Any:
    from PIL import ImageFont

    return ImageFont.load_default(size)


def as_data(image: Image, quality: int) -> str:
    """Return a picture as a ``data:`` address."""
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()


def banned_item() -> dict[str, Any]:
    """Return the sample listing that is banned, with its photo where pictures can be drawn."""
    item = next(listing for listing in sample_listings() if listing["id"] == SAMPLE_ID)
    return item if missing_packages() else item | {"images": [as_data(draw_item(), 88)]}


def edited_copy() -> dict[str, Any]:
    """Return the copy that a re-lister uploads: another title, seller, price and photo."""
    if missing_packages():
        return dict(_COPY)
    return {**_COPY, "images": [as_data(edited(draw_item()), 62)]}


def ban_request() -> dict[str, Any]:
    """Return what is asked for when the item is banned."""
    return {"listing": banned_item(), "reason": REASON, "notice": NOTICE}


@dataclass(frozen=True, slots=True)
class Shown:
    """The ban, the copy as it was uploaded, and the decision on it; JSON values."""

    ban: dict[str, Any]
    copy: dict[str, Any]
    decision: dict[str, Any]


def play(office: BanOffice) -> Shown:
    """Ban the item, upload the copy, decide and record."""
    from features.schema import parse_listing
    from serving.bans.book import request_of
    from serving.store.decided import decision_record

    ban = office.place(request_of(ban_request()), "demonstration")
    copy = edited_copy()
    listing = parse_listing(copy)
    decision = office.decider.decide([listing], "always")[0]
    images = pictures_of(decision)
    office.store.record([decision_record(listing, decision, images=images)], timeout_s=30)
    return Shown(ban.entry.to_json(), copy, decision.to_json())


def tell(shown: Shown, console: Console) -> None:
    """Print what was banned, what came, and what speaks for its being the same."""
    decision, title = shown.decision, shown.copy["title"]
    console.print(f"banned    {shown.ban['title']}  [dim]({shown.ban['reason']})[/]", highlight=False)
    console.print(f"uploaded  {title}", highlight=False)
    console.print(f"decision  [bold red]{decision['action']}[/], {decision['state']}", highlight=False)
    for match in decision.get("matches", ()):
        words = ", ".join(title[word["start"] : word["end"]] for word in match["words"])
        console.print(f"match     {match['tier']}, p {match['p']:.3f}; by words alone {match['p_text']:.3f}")
        console.print(f"  words   {words or 'none in common'}", highlight=False)
        for photo in match["photos"]:
            said = "the same picture, checked by geometry" if photo["verified"] else f"p {photo['p']:.3f}"
            console.print(
                f"  photos  {photo['photo'] + 1} of the copy, {photo['banned_photo'] + 1} of the ban: {said}"
            )
    for note in decision.get("photos", {}).get("notes", ()):
        console.print(f"  note    {note['detail']}", highlight=False)


def draw_both(path: Path) -> None:
    """Draw the banned item's photo and the copy's side by side."""
    from PIL import Image, ImageDraw

    height, gap = 300, 18
    sides = [
        one.resize((round(one.width * height / one.height), height))
        for one in (draw_item(), edited(draw_item()))
    ]
    picture = Image.new(
        "RGB", (sum(one.width for one in sides) + 3 * gap, height + gap + 46), (255, 255, 255)
    )
    draw, x = ImageDraw.Draw(picture), gap
    for one, words in zip(sides, ("banned", "uploaded again: blocked"), strict=True):
        draw.text((x, 10), words, fill=(40, 40, 40), font=_font(22))
        picture.paste(one, (x, 46))
        x += one.width + gap
    picture.quantize(96).save(path, optimize=True)
