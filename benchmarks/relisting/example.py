"""Draw the page of hits and misses that is committed: drawn pictures, no third party's photo.

``python -m benchmarks.relisting.example``. The pictures are others than those the package's matcher was fitted on, half
of them with the band of a shop that prints it on five products each.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from benchmarks.relisting import collect, drawn, measure
from benchmarks.relisting.picture import draw
from benchmarks.relisting.starter import OneHalf
from benchmarks.results_file import OURS, ROOT
from features.image_match import load_matcher

FIRST = 10_000
PICTURES = 60
EDITS_EACH = 8
PAGE = ROOT / "docs" / "figures" / "relisting_examples.jpg"


def pictures(folder: Path) -> list[OneHalf]:
    """Draw pictures that nothing was fitted on."""
    found = []
    for number in range(FIRST, FIRST + PICTURES):
        name = f"drawn-{number}.jpg"
        image = drawn.branded(number) if number % 10 < 5 else drawn.picture(number)
        image.save(folder / name, "JPEG", quality=92)
        found.append(OneHalf(name, folder / name, name, False))
    return found


@click.command()
@click.option("--output", type=click.Path(path_type=Path), default=PAGE, show_default=True)
@click.option("--workers", default=2, show_default=True)
def main(output: Path, workers: int) -> None:
    """Draw, edit, search, and put hits and misses on a page."""
    matcher = load_matcher()
    with tempfile.TemporaryDirectory() as place:
        photos = pictures(Path(place))
        for done, of in collect.collect(photos, 0, Path(place), matcher, EDITS_EACH, workers):
            if done % 10 == 0:
                click.echo(f"{done} of {of} drawn pictures", err=True)
        by_name = {one.name: one for one in photos}
        half = measure.Half(collect.answers_of(photos, 0, Path(place)), by_name)
        frame = measure.scores(half, matcher)
        judged = measure.Judged(frame, half.negative_pairs, {}, {}, {OURS: matcher.exact})
        draw([judged], by_name, output, each=10)
    copies = frame[(frame["system"] == OURS) & (frame["kind"] == "copy")]
    found = int((copies["score"] >= matcher.exact).sum())
    click.echo(f"wrote {output}: {found} of {len(copies)} edited copies found by the tier that may block")


if __name__ == "__main__":
    main()
