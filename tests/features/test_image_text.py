from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, ImageFont

from features import image_text
from features.image_text import PictureText, read_text


@pytest.fixture
def photo(pictures):
    image = Image.new("RGB", (500, 200), (250, 250, 250))
    draw = ImageDraw.Draw(image)
    draw.text((30, 30), "HIDDEN CAMERA", fill=(20, 20, 20), font=ImageFont.load_default(44))
    draw.text((30, 110), "motion record", fill=(60, 20, 20), font=ImageFont.load_default(36))
    return pictures.as_photo(image, 95)


def program(folder: Path, body: str, languages: str = "eng") -> str:
    """A program that answers as Tesseract does, for the ways it can go wrong."""
    path = folder / "tesseract"
    path.write_text(f'#!/bin/sh\nif [ "$1" = --list-langs ]; then echo "{languages}"; exit 0; fi\n{body}\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.skipif(
    not shutil.which("tesseract"), reason="tesseract is not installed: apt-get install tesseract-ocr"
)
def test_words_are_read(photo):
    found = read_text(photo)
    assert "eng" in found.languages and found.note == ""
    assert "HIDDEN CAMERA" in found.text.upper() and "record" in found.text


def test_without_the_program_there_is_a_note(photo, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")
    assert read_text(photo) == PictureText("", note="not_installed")


def test_without_a_wanted_language_there_is_a_note(photo, tmp_path):
    assert read_text(photo, program=program(tmp_path, "exit 0", "deu")).note == "not_installed"


def test_a_program_that_hangs_or_fails_does_no_harm(photo, tmp_path):
    (tmp_path / "a").mkdir()
    assert read_text(photo, 0.3, program(tmp_path / "a", "exec sleep 60")).note == "too_slow"
    (tmp_path / "b").mkdir()
    assert read_text(photo, program=program(tmp_path / "b", "exit 3")).note == "failed"


def test_only_words_it_is_certain_of_in_their_lines():
    head = "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext"
    rows = [
        "5\t1\t1\t1\t1\t1\t0\t0\t9\t9\t96.1\t몰래",
        "5\t1\t1\t1\t1\t2\t0\t0\t9\t9\t91\t카메라",
        "5\t1\t1\t1\t2\t1\t0\t0\t9\t9\t12\tdoubt",
        "5\t1\t2\t1\t1\t1\t0\t0\t9\t9\t88\tREC\x07ORD",
        "4\t1\t1\t1\t1\t0\t0\t0\t9\t9\t-1\t",
        "broken row",
        "5\t1\t1\t1\t1\t1\t0\t0\t9\t9\tmuch\tword",
    ]
    assert image_text._lines("\n".join([head, *rows])) == "몰래 카메라\nRECORD"
    assert image_text._lines("") == ""
