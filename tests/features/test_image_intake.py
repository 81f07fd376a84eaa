"""Every kind of photo and every hostile one: a result, never an exception."""

from __future__ import annotations

import base64
import io
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from features import image_intake as intake
from features.image_intake import IntakeLimits, Photo, Unusable

SMALL = IntakeLimits(max_bytes=200_000, max_pixels=1_000_000)


def drawing(size=(120, 80), mode="RGB") -> Image.Image:
    """Red left half, blue right half, a white mark in the upper left corner."""
    image = Image.new("RGB", size, (200, 30, 30))
    draw = ImageDraw.Draw(image)
    draw.rectangle((size[0] // 2, 0, *size), fill=(30, 30, 200))
    draw.rectangle((0, 0, size[0] // 6, size[1] // 6), fill=(255, 255, 255))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options) -> bytes:
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def is_drawing(photo: Photo | Unusable, tolerance: int = 40) -> bool:
    assert isinstance(photo, Photo), photo
    height, width = photo.pixels.shape[:2]
    wanted = ((0.25, 0.6, (200, 30, 30)), (0.8, 0.6, (30, 30, 200)), (0.05, 0.05, (255, 255, 255)))
    return all(
        np.abs(photo.pixels[int(y * height), int(x * width)].astype(int) - colour).max() <= tolerance
        for x, y, colour in wanted
    )


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_the_usual_formats(kind):
    if kind == "AVIF":
        from PIL import features

        if not features.check("avif"):
            pytest.skip("this Pillow reads no AVIF")
    photo = intake.from_bytes(saved(drawing(), kind))
    assert is_drawing(photo)
    assert photo.format == kind and photo.size == (120, 80) and len(photo.sha256) == 64
    assert photo.pixels.dtype == np.uint8 and photo.pixels.flags.c_contiguous


@pytest.mark.parametrize("mark", range(1, 9))
def test_the_orientation_mark_is_followed(mark):
    exif = Image.Exif()
    exif[0x0112] = mark
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what turns the upright picture into the stored one
    stored = drawing().transpose(Image.Transpose(undo[mark])) if mark > 1 else drawing()
    photo = intake.from_bytes(saved(stored, "JPEG", exif=exif, quality=95))
    assert is_drawing(photo)
    assert photo.size == (120, 80)
    assert ("turned" in photo.notes) == (mark > 1)


def test_a_broken_orientation_mark_is_a_note_and_no_more():
    raw = saved(drawing(), "JPEG", quality=95)
    broken = b"Exif\0\0MM\0*\xff\xff\xff\xf0"
    photo = intake.from_bytes(raw[:2] + b"\xff\xe1" + struct.pack(">H", len(broken) + 2) + broken + raw[2:])
    assert is_drawing(photo)


@pytest.mark.parametrize(
    ("mode", "kind", "note"),
    [
        ("CMYK", "JPEG", "cmyk"),
        ("P", "PNG", None),
        ("L", "JPEG", None),
        ("1", "PNG", None),
        ("LA", "PNG", None),
    ],
)
def test_other_modes_become_rgb(mode, kind, note):
    image = drawing().convert("P", palette=Image.Palette.ADAPTIVE) if mode == "P" else drawing(mode=mode)
    photo = intake.from_bytes(saved(image, kind))
    assert isinstance(photo, Photo) and photo.pixels.shape == (80, 120, 3)
    if mode in ("CMYK", "P"):
        assert is_drawing(photo)
    if note:
        assert note in photo.notes


def test_sixteen_bits_keep_their_shades():
    ramp = np.tile(np.linspace(0, 65_535, 120).astype(np.uint16), (80, 1))
    photo = intake.from_bytes(saved(Image.fromarray(ramp), "PNG"))
    assert isinstance(photo, Photo) and "deep" in photo.notes
    assert np.abs(photo.pixels[40, :, 0].astype(int) - np.linspace(0, 255, 120)).max() <= 1


def test_what_is_transparent_becomes_white():
    image = drawing().convert("RGBA")
    image.putalpha(Image.new("L", image.size, 0))
    photo = intake.from_bytes(saved(image, "PNG"))
    assert isinstance(photo, Photo) and photo.pixels.min() == 255


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_gives_its_first_frame_with_something_on_it(kind):
    flat = Image.new("RGB", (120, 80), (255, 255, 255))
    raw = saved(flat, kind, save_all=True, append_images=[drawing(), flat])
    photo = intake.from_bytes(raw)
    assert is_drawing(photo)
    assert "animated" in photo.notes


def test_an_animation_without_end_is_left_after_its_first_frames():
    frames = [Image.new("L", (16, 16), n % 200) for n in range(400)]
    photo = intake.from_bytes(saved(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert isinstance(photo, Photo)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.9])
def test_a_photo_cut_short_says_so(kind, share):
    noise = np.random.default_rng(1).integers(0, 255, (80, 120, 3), np.uint8)
    raw = saved(Image.fromarray(noise), kind)
    found = intake.from_bytes(raw[: int(len(raw) * share)])
    assert isinstance(found, Unusable)
    assert found.reason in ("truncated", "broken", "not_an_image")
    if share > 0.5 and kind != "WEBP":
        assert found.reason == "truncated"


def test_no_bytes_and_other_bytes():
    assert intake.from_bytes(b"").reason == "empty"
    assert intake.from_bytes(b"<html>not a photo</html>").reason == "not_an_image"
    assert intake.from_bytes(saved(drawing(), "TIFF")).reason == "not_an_image"  # a decoder that stays shut
    assert intake.from_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n").reason == "not_an_image"


def test_limits_are_checked_before_anything_is_decoded():
    assert intake.from_bytes(b"\0" * 300_000, SMALL).reason == "too_many_bytes"
    wide = saved(Image.new("L", (2_000, 1_000)), "PNG")
    found = intake.from_bytes(wide, SMALL)
    assert found.reason == "too_many_pixels" and "2000 x 1000" in found.detail
    assert intake.from_bytes(saved(Image.new("L", (3, 400)), "PNG")).reason == "too_small"


def bomb(width: int, height: int, kind: bytes = b"IHDR") -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(kind, head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 100_000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [30_000, 200_000, 2_000_000_000])
def test_a_decompression_bomb_is_refused_by_its_head(side):
    assert intake.from_bytes(bomb(side, side)).reason == "too_many_pixels"


def test_a_bomb_of_text_is_refused():
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    raw = saved(drawing(), "PNG")
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(b"x" * 80_000_000))
    found = intake.from_bytes(raw[:33] + text + raw[33:])
    assert isinstance(found, Unusable) and found.reason == "broken"


def test_a_jpeg_of_very_many_scans_is_refused():
    raw = saved(drawing((600, 600)), "JPEG", progressive=True)
    start = raw.index(b"\xff\xda")
    found = intake.from_bytes(raw[:start] + raw[start:-2] * 80 + b"\xff\xd9")
    assert found.reason == "too_slow"


def test_time_is_limited():
    found = intake.from_bytes(saved(drawing((900, 900)), "PNG"), IntakeLimits(seconds=0.0))
    assert found.reason == "too_slow"


def test_a_large_photo_is_reduced_and_a_strip_survives():
    photo = intake.from_bytes(saved(drawing((3_000, 2_000)), "JPEG"))
    assert is_drawing(photo)
    assert photo.pixels.shape == (683, 1_024, 3) and photo.size[0] >= 1_024
    strip = intake.from_bytes(saved(drawing((6_000, 12)), "PNG"))
    assert isinstance(strip, Photo) and min(strip.pixels.shape[:2]) >= 8


@given(st.binary(max_size=400), st.sampled_from(["JPEG", "PNG", "WEBP", "GIF"]), st.integers(0, 2_000))
def test_no_bytes_raise(tail, kind, at):
    raw = saved(drawing((40, 30)), kind)
    at %= len(raw)
    assert isinstance(intake.from_bytes(raw[:at] + tail + raw[at + len(tail) :]), Photo | Unusable)
    assert isinstance(intake.from_bytes(tail), Photo | Unusable)


def test_base64_in_its_several_spellings():
    raw = saved(drawing(), "PNG")
    plain = base64.b64encode(raw).decode()
    lines = "\n".join(plain[i : i + 76] for i in range(0, len(plain), 76))
    for text in (
        plain,
        lines,
        plain.rstrip("="),
        base64.urlsafe_b64encode(raw).decode(),
        f"data:image/png;base64,{plain}",
        f"data:;base64,{plain}",
    ):
        assert is_drawing(intake.from_base64(text))
    assert intake.from_base64("not base64!").reason == "not_base64"
    assert intake.from_base64("5ㄱ가").reason == "not_base64"
    assert intake.from_base64("A" * 400_000, SMALL).reason == "too_many_bytes"
    assert intake.from_base64("").reason == "empty"


def test_files_and_what_is_none(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(saved(drawing(), "PNG"))
    assert is_drawing(intake.from_file(path))
    assert intake.from_file(tmp_path / "absent.png").reason == "not_found"
    assert intake.from_file(tmp_path).reason == "not_a_file"
    os.mkfifo(tmp_path / "pipe")
    assert intake.from_file(tmp_path / "pipe").reason == "not_a_file"
    assert intake.from_file(Path("/dev/zero")).reason == "not_a_file"
    assert intake.from_file(Path("nul\0name")).reason == "not_found"
    assert intake.from_file(path, IntakeLimits(max_bytes=10)).reason == "too_many_bytes"


def archives(folder: Path) -> list[Path]:
    raw = saved(drawing(), "PNG")
    zipped, tarred = folder / "photos.zip", folder / "photos.tar.gz"
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("사진/하나.png", raw)
        archive.writestr("bomb.png", b"\0" * 3_000_000)
    with tarfile.open(tarred, "w:gz") as archive:
        for name, body in (("사진/하나.png", raw), ("bomb.png", b"\0" * 3_000_000)):
            about = tarfile.TarInfo(name)
            about.size = len(body)
            archive.addfile(about, io.BytesIO(body))
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    return [zipped, tarred]


def test_members_of_archives(tmp_path):
    for archive in archives(tmp_path):
        assert is_drawing(intake.from_archive(archive, "사진/하나.png"))
        assert intake.from_archive(archive, "absent.png").reason == "not_found"
        assert intake.from_archive(archive, "bomb.png", SMALL).reason == "too_many_bytes"
    assert intake.from_archive(tmp_path / "photos.tar.gz", "link.png").reason in ("not_a_file", "broken")
    assert intake.from_archive(tmp_path / "absent.zip", "a").reason == "not_found"
    other = tmp_path / "other.zip"
    other.write_bytes(b"PK\x03\x04 and nothing more")
    assert intake.from_archive(other, "a").reason == "not_an_archive"


def test_an_archive_that_unpacks_without_end_is_left(tmp_path):
    """Six hundred megabytes of zeros before the photo, in three megabytes of file."""
    import gzip

    head = tarfile.TarInfo("zeros")
    head.size = 600_000_000
    path = tmp_path / "endless.tar.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.write(head.tobuf())
        for _ in range(600):
            file.write(b"\0" * 1_000_000)
    assert intake.from_archive(path, "photo.png", IntakeLimits(seconds=0.1)).reason == "too_slow"


def test_an_encrypted_member_says_so(tmp_path):
    path = archives(tmp_path)[0]
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(mark) + place] |= 1
    path.write_bytes(bytes(raw))
    assert intake.from_archive(path, "사진/하나.png").reason == "encrypted"


def test_a_reference_reads_files_only_below_the_folder_that_was_given(tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.png").write_bytes(saved(drawing(), "PNG"))
    (tmp_path / "secret.png").write_bytes(saved(drawing(), "PNG"))
    (photos / "way_out.png").symlink_to(tmp_path / "secret.png")
    archives(photos)
    assert is_drawing(intake.from_reference("a.png", folder=photos))
    assert is_drawing(intake.from_reference("photos.zip!사진/하나.png", folder=photos))
    for name in ("../secret.png", str(tmp_path / "secret.png"), "way_out.png"):
        assert intake.from_reference(name, folder=photos).reason == "not_found"
    assert (
        intake.from_reference(str(photos / "a.png")).reason == "not_base64"
    )  # without a folder no file is opened
    assert intake.from_reference("https://example.com/a.png").reason == "fetching_off"
    assert intake.from_reference("file:///etc/passwd", folder=photos).reason == "fetching_off"
    assert intake.from_reference(" ").reason == "empty"
    text = base64.b64encode(saved(drawing(), "PNG")).decode()
    assert is_drawing(intake.from_reference(f"data:image/png;base64,{text}"))
    assert is_drawing(intake.from_reference("http://x/y", fetch=lambda _: saved(drawing(), "PNG")))
    refused = Unusable("host_not_allowed", "no")
    assert intake.from_reference("http://x/y", fetch=lambda _: refused) == refused


def test_small_keeps_the_shape():
    photo = intake.from_bytes(saved(drawing((400, 200)), "PNG"))
    assert isinstance(photo, Photo)
    assert intake.small(photo, 100).pixels.shape == (50, 100, 3)
    assert intake.small(photo, 400) is photo
