"""Mixed traffic as a marketplace sends it: single listings, blocks, photos, bans in between, and repetitions."""

from __future__ import annotations

import base64
import io
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

Kind = Literal["single", "bulk", "photo", "repeat", "ban", "returned"]
SHARES: dict[Kind, float] = {"single": 0.90, "bulk": 0.03, "photo": 0.05, "repeat": 0.02}
"""Of requests; bans and the banned items that come back are in between at their own pace."""
BLOCK = 32
_REMEMBERED = 2_000
_TONES = 64


@dataclass(frozen=True, slots=True)
class Ask:
    """One request.

    Attributes
    ----------
    key
        Its idempotency key; a repetition has that of the request that it repeats.
    listings
        How many decisions it asks for.
    """

    kind: Kind
    path: str
    body: bytes
    key: str
    listings: int = 1


class Traffic:
    """Makes requests without end; titles are never the same, so nothing is answered from a cache.

    Parameters
    ----------
    listings
        What is sold, as JSON values.
    run
        Name of this run, part of every key.
    seed
        Of the choice.
    """

    def __init__(self, listings: Sequence[dict[str, Any]], run: str, seed: int = 2026) -> None:
        self._listings = listings
        self._run = run
        self._chance = random.Random(seed)
        self._number = 0
        self._sent: deque[Ask] = deque(maxlen=_REMEMBERED)
        self._photos = [_photo(random.Random(seed + n)) for n in range(_TONES)]

    def __iter__(self) -> Iterator[Ask]:
        return self

    def __next__(self) -> Ask:
        (kind,) = self._chance.choices(list(SHARES), list(SHARES.values()))
        if kind == "repeat":
            if self._sent:
                again = self._chance.choice(self._sent)
                return Ask("repeat", again.path, again.body, again.key)
            kind = "single"
        if kind == "bulk":
            listings = [self._listing() for _ in range(BLOCK)]
            return Ask("bulk", "/v1/score-many", orjson.dumps({"listings": listings}), self._key(), BLOCK)
        listing = self._listing()
        if kind == "photo":
            listing["images"] = [self._chance.choice(self._photos)]
        return Ask(kind, "/v1/score", orjson.dumps(listing), self._key())

    def sent(self, ask: Ask) -> None:
        """Remember a request that was answered, to be repeated."""
        if ask.kind == "single":
            self._sent.append(ask)

    def ban(self) -> tuple[Ask, Ask]:
        """Return a ban of an item, and the item coming back under another number."""
        item = self._listing()
        number = f"{self._run}-banned-{self._number}"
        returned = item | {"id": f"{item['id']}-again"}
        body = orjson.dumps({"listing": item, "reason": "failed in the laboratory"})
        return (
            Ask("ban", "/v1/bans", body, f"{number}-ban", 0),
            Ask("returned", "/v1/score", orjson.dumps(returned), f"{number}-again"),
        )

    def _key(self) -> str:
        return f"{self._run}-{self._number}"

    def _listing(self) -> dict[str, Any]:
        self._number += 1
        found = dict(self._listings[self._number % len(self._listings)])
        found["id"] = f"{self._run}-{self._number}"
        found["title"] = f"{found['title']} {self._number:x}"
        return found


def _photo(chance: random.Random) -> str:
    """Return a drawn picture of 480 by 480 as a data address: shapes, so that it has features to be compared."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (480, 480), tuple(chance.randrange(256) for _ in range(3)))
    pencil = ImageDraw.Draw(picture)
    for _ in range(40):
        x, y, size = chance.randrange(440), chance.randrange(440), chance.randrange(20, 120)
        colour = tuple(chance.randrange(256) for _ in range(3))
        draw = pencil.ellipse if chance.random() < 0.5 else pencil.rectangle
        draw((x, y, x + size, y + size), fill=colour)
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode()
