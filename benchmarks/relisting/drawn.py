"""Drawn pictures that look like listing photos: shapes, shade and print on a light ground. No third party's photo."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from features import image_intake
from features.image_intake import Photo


def picture(number: int, size: tuple[int, int] = (360, 320)) -> Image.Image:
    """Draw the picture of product ``number``; the same number gives the same picture."""
    rng = np.random.default_rng(number)
    image = Image.new("RGB", size, (255, 255, 255))
    draw = ImageDraw.Draw(image)
    width, height = size
    for _ in range(int(rng.integers(6, 14))):
        x, y = rng.uniform(0.2, 0.8) * width, rng.uniform(0.2, 0.8) * height
        a, b = rng.uniform(0.04, 0.2, 2) * min(size)
        fill = tuple(int(v) for v in rng.integers(0, 230, 3))
        kind = int(rng.integers(4))
        if kind == 0:
            draw.ellipse((x - a, y - b, x + a, y + b), fill=fill, outline=(10, 10, 10))
        elif kind == 1:
            draw.rounded_rectangle((x - a, y - b, x + a, y + b), 9, fill=fill)
        elif kind == 2:
            corners = [(x + a * np.cos(t), y + b * np.sin(t)) for t in np.sort(rng.uniform(0, 6.28, 5))]
            draw.polygon(corners, fill=fill)
        else:
            letters = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ23456789"), 6))
            draw.text(
                (x - a, y - b), letters, fill=fill, font=ImageFont.load_default(int(rng.integers(14, 34)))
            )
    image = image.filter(ImageFilter.GaussianBlur(0.7))
    shade = np.linspace(1.0, rng.uniform(0.92, 0.99), height)[:, None, None]
    grain = rng.normal(0, 2, (height, width, 3))
    return Image.fromarray(np.clip(np.asarray(image) * shade + grain, 0, 255).astype(np.uint8))


def branded(number: int, size: tuple[int, int] = (360, 320)) -> Image.Image:
    """Draw product ``number`` of a shop that prints one and the same band and badge on five products each."""
    image = picture(number, size)
    rng = np.random.default_rng(1_000_000 + number // 5)
    draw = ImageDraw.Draw(image)
    fill = tuple(int(v) for v in rng.integers(0, 200, 3))
    height = round(size[1] * rng.uniform(0.12, 0.25))
    top = 0 if rng.random() < 0.5 else size[1] - height
    letters = "".join(rng.choice(list("ABCDEFGHKLMNPRSTUVXYZ23456789"), 14))
    draw.rectangle((0, top, size[0], top + height), fill=fill)
    draw.text(
        (size[0] * 0.05, top + height * 0.25), letters, (255, 255, 255), ImageFont.load_default(height * 0.45)
    )
    x, y = size[0] * rng.uniform(0.75, 0.9), size[1] * rng.uniform(0.4, 0.6)
    draw.ellipse((x - 28, y - 28, x + 28, y + 28), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    draw.text((x - 22, y - 8), letters[:4], (255, 255, 255), ImageFont.load_default(15))
    return image


def as_photo(image: Image.Image, quality: int = 90) -> Photo:
    """Give a picture as it comes out of the intake."""
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    found = image_intake.from_bytes(held.getvalue())
    assert isinstance(found, Photo)
    return found
