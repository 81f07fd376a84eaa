"""What a re-lister does to a photo before it goes up again.

Each edit takes a picture and a generator of random numbers, so that the same photo and edit give the same picture
everywhere. Six edits and every combination stay unseen while thresholds, compression and calibrator are fitted.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

Edit = Callable[[Image.Image, np.random.Generator], Image.Image]
_WORDS = (
    "SALE",
    "HOT",
    "NEW 2024",
    "50% OFF",
    "FREE GIFT",
    "BEST",
    "TOP SHOP",
    "LIMITED",
    "ORIGINAL",
    "1+1",
    "FAST",
)
_BRIGHT = ((220, 30, 40), (250, 190, 20), (20, 110, 210), (30, 150, 70), (240, 240, 240), (20, 20, 20))


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(8.0, size))


def _ink(colour: tuple[int, ...]) -> tuple[int, int, int]:
    return (0, 0, 0) if sum(colour) > 380 else (255, 255, 255)


def _pick(rng: np.random.Generator, items: tuple) -> object:
    return items[int(rng.integers(len(items)))]


def recode(image: Image.Image, quality: int) -> Image.Image:
    """Save as JPEG and read again."""
    held = io.BytesIO()
    image.save(held, "JPEG", quality=quality)
    return Image.open(held).convert("RGB")


def jpeg(image: Image.Image, rng: np.random.Generator, quality: int = 30) -> Image.Image:
    """Save at low quality."""
    return recode(image, quality)


def resize(image: Image.Image, rng: np.random.Generator, side: float) -> Image.Image:
    """Make smaller: by a factor, or to a longer side in pixels."""
    scale = side if side < 4 else side / max(image.size)
    size = (max(16, round(image.width * scale)), max(16, round(image.height * scale)))
    return image.resize(size, Image.Resampling.BICUBIC)


def crop(image: Image.Image, rng: np.random.Generator, share: float) -> Image.Image:
    """Take ``share`` of the width and of the height away, off centre."""
    width, height = round(image.width * (1 - share)), round(image.height * (1 - share))
    left = int(rng.integers(image.width - width + 1))
    top = int(rng.integers(image.height - height + 1))
    return image.crop((left, top, left + width, top + height))


def border(image: Image.Image, rng: np.random.Generator, coloured: bool = False) -> Image.Image:
    """Put a plain border around the photo."""
    share = rng.uniform(0.06, 0.15)
    dx, dy = round(image.width * share), round(image.height * share)
    colour = _pick(rng, _BRIGHT) if coloured else (255, 255, 255)
    ground = Image.new("RGB", (image.width + 2 * dx, image.height + 2 * dy), colour)
    ground.paste(image, (dx, dy))
    return ground


def mirror(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Swap left and right."""
    return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def rotate(image: Image.Image, rng: np.random.Generator, degrees: float) -> Image.Image:
    """Turn either way; corners are filled with white."""
    sign = 1 if rng.random() < 0.5 else -1
    if degrees == 90:
        return image.transpose(Image.Transpose.ROTATE_90 if sign > 0 else Image.Transpose.ROTATE_270)
    return image.rotate(sign * degrees, Image.Resampling.BICUBIC, expand=True, fillcolor=(255, 255, 255))


def brightness(image: Image.Image, rng: np.random.Generator, factor: float) -> Image.Image:
    """Make lighter or darker."""
    return ImageEnhance.Brightness(image).enhance(factor)


def contrast(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Make flatter or harder."""
    return ImageEnhance.Contrast(image).enhance(float(_pick(rng, (0.6, 1.5))))


def colour(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Another white balance and another saturation."""
    gains = rng.uniform(0.75, 1.25, 3)
    tinted = np.clip(np.asarray(image, np.float32) * gains, 0, 255).astype(np.uint8)
    return ImageEnhance.Color(Image.fromarray(tinted)).enhance(float(rng.uniform(0.5, 1.6)))


def grey(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Take the colours away."""
    return image.convert("L").convert("RGB")


def blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Blur a little."""
    return image.filter(ImageFilter.GaussianBlur(max(image.size) * 0.004))


def noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Add grain."""
    grain = rng.normal(0, 14, (image.height, image.width, 3))
    return Image.fromarray(np.clip(np.asarray(image, np.float32) + grain, 0, 255).astype(np.uint8))


def banner(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A bar with words over a fifth of the photo, at the top or the bottom."""
    image = image.copy()
    height = round(image.height * rng.uniform(0.15, 0.22))
    top = 0 if rng.random() < 0.5 else image.height - height
    ground = _pick(rng, _BRIGHT)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, top, image.width, top + height), fill=ground)
    text = f"{_pick(rng, _WORDS)}  {_pick(rng, _WORDS)}"
    draw.text((image.width * 0.05, top + height * 0.2), text, fill=_ink(ground), font=_font(height * 0.55))
    return image


def text_overlay(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Three lines of words across the photo."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    for line in range(3):
        place = (
            image.width * rng.uniform(0.02, 0.3),
            image.height * (0.1 + 0.3 * line + rng.uniform(0, 0.08)),
        )
        fill = _pick(rng, _BRIGHT)
        text = f"{_pick(rng, _WORDS)} {_pick(rng, _WORDS)}"
        draw.text(
            place, text, fill=fill, font=_font(image.height * 0.09), stroke_width=2, stroke_fill=_ink(fill)
        )
    return image


def watermark(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Half-transparent words, slanted, all over the photo."""
    size = round(1.5 * max(image.size))
    layer = Image.new("RGBA", (size, size), (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    text, font = f"{_pick(rng, _WORDS)} shop", _font(max(image.size) * 0.06)
    shade = int(_pick(rng, (0, 255)))
    for y in range(0, size, max(12, size // 9)):
        for x in range(0, size, max(12, size // 4)):
            draw.text((x, y), text, fill=(shade, shade, shade, 90), font=font)
    layer = layer.rotate(30).crop((size // 6, size // 6, size // 6 + image.width, size // 6 + image.height))
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def sticker(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Two round badges, one of them over the product."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    side = min(image.size)
    for share, place in ((0.16, (0.82, 0.16)), (0.17, (rng.uniform(0.3, 0.7), rng.uniform(0.4, 0.7)))):
        fill = _pick(rng, _BRIGHT)
        x, y, r = image.width * place[0], image.height * place[1], side * share
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill, outline=_ink(fill), width=3)
        draw.text((x, y), str(_pick(rng, _WORDS)), fill=_ink(fill), font=_font(r * 0.4), anchor="mm")
    return image


def stretch(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Make wider or narrower."""
    factor = float(_pick(rng, (0.8, 1.25)))
    return image.resize((max(16, round(image.width * factor)), image.height), Image.Resampling.BICUBIC)


def perspective(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As if the photo had been taken of a screen, at a slant."""
    width, height = image.size
    moved = [(x + rng.uniform(0, 0.09) * sx, y + rng.uniform(0, 0.09) * sy) for x, y, sx, sy in _CORNERS]
    rows, right = [], []
    for (x, y), (u, v) in zip(moved, [(0, 0), (1, 0), (1, 1), (0, 1)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        right += [u, v]
    a, b, c, d, e, f, g, h = np.linalg.solve(np.array(rows), np.array(right))
    size = np.array([width, height], float)
    factors = (
        a, b * size[0] / size[1], c * size[0], d * size[1] / size[0], e, f * size[1], g / size[0], h / size[1]
    )  # fmt: skip
    return image.transform(
        image.size, Image.Transform.PERSPECTIVE, factors, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255)
    )


_CORNERS = ((0, 0, 1, 1), (1, 0, -1, 1), (1, 1, -1, -1), (0, 1, 1, -1))


def background(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The white or plain ground, reached from the edges, replaced by a coloured slope with blobs."""
    import cv2

    pixels = np.asarray(image).copy()
    height, width = pixels.shape[:2]
    mask = np.zeros((height + 2, width + 2), np.uint8)
    flags = 4 | cv2.FLOODFILL_MASK_ONLY | cv2.FLOODFILL_FIXED_RANGE | (255 << 8)
    step = max(1, min(height, width) // 12)
    edge = [(x, y) for x in range(0, width, step) for y in (0, height - 1)]
    edge += [(x, y) for y in range(0, height, step) for x in (0, width - 1)]
    for seed in edge:
        if not mask[seed[1] + 1, seed[0] + 1]:
            cv2.floodFill(pixels, mask, seed, (0, 0, 0), (14,) * 3, (14,) * 3, flags)
    ground = rng.uniform(40, 230, (2, 3))
    slope = np.linspace(0, 1, height)[:, None, None]
    fresh = ground[0] * (1 - slope) + ground[1] * slope + np.zeros((height, width, 3))
    blobs = cv2.resize(rng.normal(0, 30, (9, 9, 3)), (width, height), interpolation=cv2.INTER_CUBIC)
    inside = cv2.GaussianBlur(mask[1:-1, 1:-1].astype(np.float32) / 255, (3, 3), 0)[..., None]
    mixed = pixels * (1 - inside) + np.clip(fresh + blobs, 0, 255) * inside
    return Image.fromarray(mixed.astype(np.uint8))


def screenshot(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The photo as a shopping application shows it on a telephone."""
    width = 360
    photo = image.resize((width, max(60, min(480, round(image.height * width / image.width)))))
    dark = rng.random() < 0.4
    ground, ink = ((24, 24, 26), (235, 235, 235)) if dark else ((250, 250, 250), (20, 20, 20))
    screen = Image.new("RGB", (width, photo.height + 230), ground)
    draw = ImageDraw.Draw(screen)
    draw.text((14, 6), f"{rng.integers(1, 13)}:{rng.integers(10, 60)}", fill=ink, font=_font(14))
    draw.rounded_rectangle((12, 30, width - 60, 58), 14, outline=ink)
    draw.text((24, 36), "search", fill=ink, font=_font(14))
    screen.paste(photo, (0, 70))
    below = 70 + photo.height
    draw.text((12, below + 8), f"$ {rng.integers(3, 90)}.99", fill=(220, 40, 40), font=_font(24))
    draw.text((12, below + 42), f"{_pick(rng, _WORDS)} item, free delivery", fill=ink, font=_font(15))
    draw.text(
        (12, below + 64), f"4.{rng.integers(1, 10)} ({rng.integers(20, 9000)})", fill=ink, font=_font(13)
    )
    draw.rounded_rectangle((12, below + 100, width - 12, below + 140), 8, fill=(240, 120, 20))
    draw.text((width / 2, below + 120), "Add to cart", fill=(255, 255, 255), font=_font(18), anchor="mm")
    return screen


def filler(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """A drawn picture: what stands beside the photo in a collage (another photo would be a true match of its own)."""
    image = Image.new("RGB", size, tuple(int(v) for v in rng.integers(120, 255, 3)))
    draw = ImageDraw.Draw(image)
    for _ in range(12):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        r = rng.uniform(0.05, 0.25) * min(size)
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x - r, y - r, x + r, y + r), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    draw.text(
        (size[0] * 0.1, size[1] * 0.4), str(_pick(rng, _WORDS)), fill=(0, 0, 0), font=_font(size[1] * 0.15)
    )
    return image


def collage(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Four pictures in one, the photo a quarter of it."""
    width, height = image.size
    ground = Image.new("RGB", (2 * width + 6, 2 * height + 6), (255, 255, 255))
    own = int(rng.integers(4))
    for place in range(4):
        part = image if place == own else filler(rng, image.size)
        ground.paste(part, ((place % 2) * (width + 6), (place // 2) * (height + 6)))
    return resize(ground, rng, min(800, max(ground.size)))


SEEN: Mapping[str, Edit] = {
    "jpeg_30": jpeg,
    "resize_half": partial(resize, side=0.5),
    "resize_160": partial(resize, side=160),
    "crop_2": partial(crop, share=0.02),
    "crop_5": partial(crop, share=0.05),
    "crop_10": partial(crop, share=0.10),
    "crop_20": partial(crop, share=0.20),
    "border_white": border,
    "border_coloured": partial(border, coloured=True),
    "mirror": mirror,
    "rotate_5": partial(rotate, degrees=5),
    "rotate_90": partial(rotate, degrees=90),
    "brighter": partial(brightness, factor=1.4),
    "darker": partial(brightness, factor=0.6),
    "contrast": contrast,
    "colour": colour,
    "grey": grey,
    "banner": banner,
    "text_overlay": text_overlay,
    "watermark": watermark,
    "blur": blur,
    "noise": noise,
}
UNSEEN: Mapping[str, Edit] = {
    "collage": collage,
    "background": background,
    "screenshot": screenshot,
    "perspective": perspective,
    "stretch": stretch,
    "sticker": sticker,
}
PAIRS: tuple[tuple[str, str], ...] = (
    ("crop_10", "banner"),
    ("mirror", "border_coloured"),
    ("rotate_5", "jpeg_30"),
    ("crop_20", "colour"),
    ("mirror", "text_overlay"),
    ("resize_160", "watermark"),
    ("border_white", "darker"),
    ("background", "mirror"),
    ("screenshot", "jpeg_30"),
    ("crop_5", "noise"),
)
EDITS: Mapping[str, tuple[Edit, ...]] = {
    **{name: (edit,) for name, edit in {**SEEN, **UNSEEN}.items()},
    **{f"{a}+{b}": ({**SEEN, **UNSEEN}[a], {**SEEN, **UNSEEN}[b]) for a, b in PAIRS},
}


def edited(image: Image.Image, name: str, key: str) -> Image.Image:
    """Give the photo after an edit.

    Parameters
    ----------
    image
        RGB.
    name
        One of `EDITS`.
    key
        Name of the photo: decides, with the edit's, the random numbers.
    """
    rng = np.random.default_rng(zlib.crc32(f"{key}|{name}".encode()))
    for step in EDITS[name]:
        image = step(image, rng)
    return image
