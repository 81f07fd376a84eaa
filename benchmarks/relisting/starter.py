"""Fit the matcher that comes with the package, on drawn pictures only: ``python -m benchmarks.relisting.starter``.

No third party's photo goes into it. Who has photos of their own fits their own matcher with `training.image_matching`;
`benchmarks.relisting.run` tells how far the drawn pictures carry.
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from benchmarks.relisting import collect, drawn, measure
from benchmarks.relisting.photos import Original
from features import image_match
from features.image_match import FACTORS, Limits, PhotoMatcher, matcher_values

PICTURES = 200
EDITS_EACH = 8
TARGET = Path(image_match.__file__).with_name("image_matcher.json")


def pictures(folder: Path, count: int) -> list[Original]:
    """Draw the pictures; every second one bears the band of its shop."""
    found: list[Original] = []
    for number in range(count):
        name = f"drawn-{number:03d}.jpg"
        image = drawn.branded(number) if number % 2 else drawn.picture(number)
        image.save(folder / name, "JPEG", quality=92)
        found.append(OneHalf(name, folder / name, name, False))
    return found


class OneHalf(Original):
    """All drawn pictures are of one half: nothing is judged by them."""

    @property
    def fold(self) -> int:
        """Always the first."""
        return 0


def answered(work: Path, edits: int, workers: int) -> measure.Half:
    """Have the queries of drawn pictures answered; a second run goes on where the first stopped."""
    work.mkdir(parents=True, exist_ok=True)
    photos = pictures(work, PICTURES)
    unfitted = PhotoMatcher(weights=(1.0,) * len(FACTORS), offset=0.0, exact=1.0, near=1.0, limits=Limits())
    for done, of in collect.collect(photos, 0, work, unfitted, edits, workers):
        if done % 20 == 0:
            click.echo(f"{done} of {of} drawn pictures", err=True)
    return measure.Half(collect.answers_of(photos, 0, work), {one.name: one for one in photos})


@click.command()
@click.option("--work", type=click.Path(path_type=Path), default=Path(".cache/relisting-starter"))
@click.option("--edits", default=EDITS_EACH, show_default=True, help="Edits a picture.")
@click.option("--workers", default=2, show_default=True)
def main(work: Path, edits: int, workers: int) -> None:
    """Draw, ask, fit, write."""
    half = answered(work, edits, workers)
    matcher = measure.fit([half], f"{PICTURES} drawn pictures and their edited copies; no photo")
    TARGET.write_text(json.dumps(matcher_values(matcher), indent=1) + "\n", encoding="utf-8")
    click.echo(f"wrote {TARGET}: exact from {matcher.exact:.4f}, near from {matcher.near:.4f}")


if __name__ == "__main__":
    main()
