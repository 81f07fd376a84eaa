"""The photos of the benchmark, which product each shows, and the two halves that judge each other."""

from __future__ import annotations

import csv
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

SETS = ("amazonify-images", "imagededup-tests", "jsc-images")
SAME = Path(__file__).with_name("same_product.csv")
FOLDS = 2


@dataclass(frozen=True)
class Original:
    """One photo.

    Attributes
    ----------
    name
        Its file's name, which is unique over all sets.
    path
        Where it lies.
    product
        Which product it shows: pairs of one product are never counted as negatives.
    several
        The set says of the product which photos it has (``amazonify-images``).
    """

    name: str
    path: Path
    product: str
    several: bool

    @property
    def fold(self) -> int:
        """Half that it belongs to, by product."""
        return int(hashlib.sha256(self.product.encode()).hexdigest(), 16) % FOLDS


def originals(data: Path) -> list[Original]:
    """Read all sets: each different file once."""
    found: list[Original] = []
    seen: set[str] = set()
    for folder in SETS:
        with (data / folder / "images.csv").open(encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream):
                if row["git_blob"] not in seen:
                    seen.add(row["git_blob"])
                    path = data / folder / "images" / row["image"]
                    found.append(Original(row["image"], path, _product(folder, row), folder == SETS[0]))
    joined = _joined()
    return [Original(one.name, one.path, joined.get(one.product, one.product), one.several) for one in found]


def paths(data: Path) -> list[str]:
    """Files that the benchmark reads, below the data folder."""
    return [str(one.path.relative_to(data)) for one in originals(data)]


def _product(folder: str, row: dict[str, str]) -> str:
    if folder == "amazonify-images":
        return f"amazonify-{row['product_no']}"
    if folder == "imagededup-tests":
        return "ukbench-" + re.findall(r"ukbench(\d+)", row["image"])[0]
    return row["image"]


def _joined() -> dict[str, str]:
    """Products that are one and the same, found by eye among the photos that resemble each other most."""
    if not SAME.is_file():
        return {}
    with SAME.open(encoding="utf-8", newline="") as stream:
        pairs = [(row["product"], row["same_as"]) for row in csv.DictReader(stream)]
    name = {}
    for a, b in pairs:
        target = min(name.get(a, a), name.get(b, b))
        sources = {a, b, name.get(a, a), name.get(b, b)}
        name.update(dict.fromkeys([*sources, *(k for k, v in name.items() if v in sources)], target))
    return name
