"""The demonstration in the README does what the README says."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from PIL import Image

from features.image_intake import Photo, from_base64
from features.schema import parse_listing
from serving.cli import main
from serving.demo.relisting import banned_item, edited_copy

ROOT = Path(__file__).parents[2]


def run(*arguments):
    done = CliRunner().invoke(main, [str(part) for part in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_copy_is_blocked_for_its_photo_and_its_words():
    said = run("bans", "demo")
    assert "decision  block, held" in said and "exact" in said
    assert "자석" in said.split("words   ")[1], "the words that both titles have"
    assert "1 of the copy, 1 of the ban: the same picture, checked by geometry" in said


def test_the_copy_shares_neither_title_nor_seller_nor_bytes():
    item, copy = parse_listing(banned_item()), parse_listing(edited_copy())
    assert item.title != copy.title and item.seller.id != copy.seller.id and item.price != copy.price
    photos = [from_base64(listing.images[0]) for listing in (item, copy)]
    assert all(isinstance(photo, Photo) for photo in photos)
    assert photos[0].sha256 != photos[1].sha256 and photos[0].size != photos[1].size


def test_the_picture_in_the_documents_is_made_by_the_command(tmp_path):
    run("bans", "demo", "--picture", tmp_path / "both.png")
    kept = ROOT / "docs" / "figures" / "relisting_demo.png"
    with Image.open(tmp_path / "both.png") as made, Image.open(kept) as committed:
        assert made.size == committed.size
        small = [image.convert("L").resize((8, 8)).tobytes() for image in (made, committed)]
        assert small[0] == small[1]
    assert kept.stat().st_size < 60_000
