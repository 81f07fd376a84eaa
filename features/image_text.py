"""Words in a picture, read by Tesseract where it is installed; without it the answer is a note, not an error.

Sellers print on the photo what they do not write in the title. Tesseract runs as a process of its own with a time
limit: what a photo makes it do cannot take the service along.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from features.image_intake import Photo

WANTED = ("kor", "eng", "chi_sim")
SECONDS = 20.0
_CERTAIN = 40.0
_LONGEST = 20_000
_SIDE = 1_000


@dataclass(frozen=True, slots=True)
class PictureText:
    """What was read in a photo.

    Attributes
    ----------
    text
        Lines in reading order; words that the reader itself doubts are left out.
    languages
        What it was read for, in Tesseract's codes; empty where nothing was read.
    note
        Why nothing was read: ``not_installed``, ``too_slow`` or ``failed``; empty when it was.
    """

    text: str
    languages: tuple[str, ...] = ()
    note: str = ""


def read_text(photo: Photo, seconds: float = SECONDS, program: str | None = None) -> PictureText:
    """Read the words in a photo.

    Parameters
    ----------
    photo
        Decoded.
    seconds
        Wall time it may take.
    program
        Path of Tesseract; looked up where None.

    Returns
    -------
    PictureText
        With a note where nothing could be read; never raises on what the photo shows.
    """
    program = program or shutil.which("tesseract")
    languages = _languages(program) if program else ()
    if not program or not languages:
        return PictureText("", note="not_installed")
    command = [program, "stdin", "stdout", "-l", "+".join(languages), "--psm", "11", "tsv"]
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}
    try:
        done = subprocess.run(  # noqa: S603 (fixed words; the photo goes in as bytes)
            command, input=_bitmap(photo), capture_output=True, timeout=seconds, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return PictureText("", languages, "too_slow")
    except OSError:
        return PictureText("", languages, "failed")
    if done.returncode:
        return PictureText("", languages, "failed")
    return PictureText(_lines(done.stdout.decode("utf-8", "replace")), languages)


@lru_cache(maxsize=4)
def _languages(program: str) -> tuple[str, ...]:
    """Those of `WANTED` that are installed."""
    try:
        done = subprocess.run(  # noqa: S603
            [program, "--list-langs"],
            capture_output=True,
            timeout=10,
            check=False,
            text=True,
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()
    there = set(done.stdout.split())
    return tuple(one for one in WANTED if one in there)


def _bitmap(photo: Photo) -> bytes:
    """Give the photo as PNM, enlarged where it is small: letters need about 20 pixels."""
    from features.image_points import opencv

    cv2 = opencv()
    height, width = photo.pixels.shape[:2]
    scale = min(3.0, _SIDE / max(height, width))
    pixels = photo.pixels
    if scale > 1:
        size = (round(width * scale), round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
    return f"P6 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes()


def _lines(table: str) -> str:
    """Words that it is certain of, line by line, from Tesseract's table."""
    lines: dict[tuple[str, ...], list[str]] = {}
    for row in table.split("\n")[1:]:
        cells = row.rstrip("\r").split("\t")
        if len(cells) != 12 or not cells[11].strip():
            continue
        try:
            certain = float(cells[10]) >= _CERTAIN
        except ValueError:
            continue
        if certain:
            lines.setdefault(tuple(cells[1:5]), []).append(cells[11].strip())
    text = "\n".join(" ".join(words) for words in lines.values())[:_LONGEST]
    return "".join(sign for sign in text if sign in "\n" or unicodedata.category(sign)[0] != "C")
