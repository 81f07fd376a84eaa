"""What foreign tables write in a cell, read into our types: prices, counts, lists, attributes.

A reader returns None where it cannot tell; the caller keeps the original text, so nothing is lost.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

_PLAIN = re.compile(r"^[-+]?\d+(?:\.\d+)?$")
_GROUPED = re.compile(r"^\d{1,3}(?:[,. \u00a0]\d{3})+$")
_HANGUL_AMOUNT = re.compile(
    r"^[^\d]{0,12}(?:(\d+(?:\.\d+)?)\s*[만万萬])?\s*(?:(\d+(?:\.\d+)?)\s*[천千])?\s*(?:(\d+)\s*)?[원元円]?$"
)
_COUNT = re.compile(
    r"(\d+(?:[.,\u00a0]\d+)*)\s*(lakh|crore|rb|ribu|jt|juta|mil|[kKmM](?![a-zA-Z])|[천千만万萬억億])?"
)
_SCALE = {
    "k": 1e3, "rb": 1e3, "ribu": 1e3, "mil": 1e3, "천": 1e3, "千": 1e3,
    "만": 1e4, "万": 1e4, "萬": 1e4, "lakh": 1e5, "m": 1e6, "jt": 1e6, "juta": 1e6,
    "crore": 1e7, "억": 1e8, "億": 1e8,
}  # fmt: skip
# Signs and words for a currency. "$" and "¥" alone mean several; they name none here.
_CURRENCIES = {
    "₩": "KRW", "￦": "KRW", "원": "KRW", "₹": "INR", "rs": "INR", "rs.": "INR", "€": "EUR", "£": "GBP",
    "us$": "USD", "us $": "USD", "hk$": "HKD", "nt$": "TWD", "a$": "AUD", "au$": "AUD", "c$": "CAD",
    "ca$": "CAD", "s$": "SGD", "mx$": "MXN", "r$": "BRL", "rp": "IDR", "円": "JPY", "元": "CNY",
    "人民币": "CNY", "₽": "RUB", "₫": "VND", "đ": "VND", "฿": "THB", "₱": "PHP", "rm": "MYR", "zł": "PLN",
    "₺": "TRY", "kr": "", "$": "", "¥": "", "￥": "",
}  # fmt: skip
_SIGN = re.compile(
    r"(US ?\$|HK\$|NT\$|AU?\$|CA?\$|S\$|MX\$|R\$|[A-Z]{3}(?![A-Za-z])|Rs\.?|Rp|RM|[₩￦₹€£₽₫฿₱₺]|원|円|元|人民币|zł)"
)
# Python's own parser takes about a hundred times the memory of the text.
_LITERAL_MAX = 200_000
_SEPARATORS = re.compile(r"\s*[|\n]\s*")
_URL_SEPARATOR = re.compile(r"\s*[|\n;]\s*|\s*,\s*(?=https?:|//)")
_DATE_FORMATS = ("%Y/%m/%d", "%Y.%m.%d", "%Y%m%d", "%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M:%S")


class Money(NamedTuple):
    """An amount and, where the text named it, its ISO 4217 currency."""

    amount: float
    currency: str | None


@lru_cache(maxsize=8_192)
def _money(text: str) -> Money | None:
    if _PLAIN.match(text):
        return Money(float(text), None)
    sign = _SIGN.search(text)
    currency = None
    if sign:
        word = sign.group(0)
        currency = _CURRENCIES.get(word.lower()) or (word if len(word) == 3 and word.isupper() else None)
    if re.search(r"\d\s*[만万萬천千]", text):
        match = _HANGUL_AMOUNT.match(text)
        if match is None or not any(match.groups()):
            return None
        amount = float(match[1] or 0) * 1e4 + float(match[2] or 0) * 1e3 + float(match[3] or 0)
        return Money(amount, currency)
    from price_parser import Price

    if text.lstrip().startswith("-"):
        return None
    amount_read = Price.fromstring(text).amount
    return None if amount_read is None else Money(float(amount_read), currency)


def money(value: Any) -> Money | None:
    """Read a price such as ``₹32,999``, ``USD 12.90``, ``13,530원`` or ``US $1.20 - 3.40`` (its lowest).

    Parameters
    ----------
    value
        A number or text.

    Returns
    -------
    Money or None
        None where no amount is written. A bare ``$`` or ``¥`` leaves the currency open.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        amount = _float(value)
        return None if amount is None else Money(amount, None)
    return _money(str(value).strip()[:200])


@lru_cache(maxsize=8_192)
def _count(text: str) -> int | None:
    match = _COUNT.search(text)
    if match is None:
        return None
    digits, scale = match[1], _SCALE.get((match[2] or "").lower(), 1.0)
    if _GROUPED.match(digits) and not (scale > 1 and digits.count(",") + digits.count(".") == 1):
        number = float(re.sub(r"\D", "", digits))
    else:
        number = float(digits.replace("\u00a0", "").replace(",", "." if scale > 1 else "").replace("..", "."))
    return round(number * scale)


def count(value: Any) -> int | None:
    """Read a count inside text: ``1.2k sold``, ``5万+人付款``, ``판매 1,234개``, ``8122.0``.

    Returns
    -------
    int or None
        A "+" is dropped: the count is what was stated. None where there is no number.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return int(value) if value == value and abs(value) < 1e15 else None
    text = str(value).strip()[:200]
    try:
        return int(float(text)) if _PLAIN.match(text) else _count(text)
    except ValueError:
        return None


def _float(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:  # JSON knows no largest integer
        return None


def number(value: Any) -> float | None:
    """Read the first number, as in ``4.2 out of 5``."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        return _float(value)
    match = re.search(r"-?\d+(?:[.,]\d+)?", str(value)[:100])
    return float(match.group(0).replace(",", ".")) if match else None


def structure(value: Any) -> Any:
    """A cell that holds JSON, or a printed Python list, as that object; anything else unchanged."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not text or text[0] not in "[{":
        return value
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    if len(text) > _LITERAL_MAX:
        return value
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return value


def _label(item: Any) -> str:
    if isinstance(item, Mapping):
        item = next((item[key] for key in ("name", "title", "url", "value") if item.get(key)), "")
    return "" if item is None else str(item).strip()


def texts(value: Any, urls: bool = False) -> list[str]:
    """Read a list of texts: a list, JSON, or parts joined by ``|`` or line ends (``;`` and ``,`` for addresses).

    Parameters
    ----------
    value
        What the cell holds.
    urls
        Split as addresses.
    """
    value = structure(value)
    if isinstance(value, list | tuple):
        items: list[str] = []
        for item in value:
            if isinstance(item, str) and urls:
                items.extend(texts(item, urls=True))
            else:
                items.append(_label(item))
        return [item for item in items if item]
    if value is None:
        return []
    if isinstance(value, Mapping):
        return [label] if (label := _label(value)) else []
    parts = (_URL_SEPARATOR if urls else _SEPARATORS).split(str(value))
    return [part.strip() for part in parts if part.strip()]


def category(value: Any) -> list[str]:
    """Read a category path: a list, JSON, ``A > B`` or ``A | B``."""
    value = structure(value)
    if isinstance(value, str):
        return [part.strip() for part in re.split(r"[>|›»]", value) if part.strip()]
    return texts(value)


def pairs(value: Any) -> dict[str, str]:
    """Read attributes: a mapping, a list of ``{name, value}``, or ``name: value`` parts joined by ``|``.

    A name that repeats keeps each of its values, joined by ``; ``. Text without a name is kept under "".
    """
    value = structure(value)
    found: list[tuple[str, str]] = []
    if isinstance(value, Mapping):
        found = [(str(key).strip(), _flat(item)) for key, item in value.items()]
    elif isinstance(value, list | tuple):
        for item in value:
            if isinstance(item, Mapping) and "name" in item:
                found.append((str(item["name"]).strip(), _flat(item.get("value"))))
            elif isinstance(item, Mapping):
                found.extend((str(key).strip(), _flat(inner)) for key, inner in item.items())
            else:
                found.append(("", _flat(item)))
    elif value is not None:
        for part in _SEPARATORS.split(str(value)):
            name, colon, content = part.partition(":")
            found.append((name.strip(), content.strip()) if colon and len(name) <= 80 else ("", part.strip()))
    joined: dict[str, str] = {}
    for name, content in found:
        if content and content not in joined.get(name, "").split("; "):
            joined[name] = f"{joined[name]}; {content}" if name in joined else content
    return joined


def _flat(value: Any) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def certificates(value: Any) -> list[dict[str, str]]:
    """Read claimed certificates: names, or objects with a kind and a number under usual names."""
    value = structure(value)
    items = (
        value if isinstance(value, list | tuple) else [value] if isinstance(value, Mapping) else texts(value)
    )
    found = []
    for item in items:
        if isinstance(item, Mapping):
            kind = _first(
                item,
                ("kind", "type", "certificationType", "certificationKindType", "name", "certification_name"),
            )
            mark = _first(
                item, ("number", "code", "certificationNumber", "certificationCode", "certification_code")
            )
            if kind or mark:
                found.append({"kind": kind or "unstated"} | ({"number": mark} if mark else {}))
        elif item is not None and str(item).strip():
            found.append({"kind": str(item).strip()})
    return found


def variants(value: Any) -> list[dict[str, Any]]:
    """Read choices of a listing: objects with name, price, image and id under usual names, or names."""
    value = structure(value)
    if not isinstance(value, list | tuple):
        return [{"name": part} for part in texts(value)]
    found: list[dict[str, Any]] = []
    for item in value:
        if not isinstance(item, Mapping):
            if item is not None and str(item).strip():
                found.append({"name": str(item).strip()})
            continue
        price = money(
            next(
                (item[key] for key in ("price", "salePrice", "offer_sale_price", "sku_price") if key in item),
                None,
            )
        )
        variant = {
            "id": _first(item, ("id", "sku", "sku_id", "vendorItemId")),
            "name": _first(item, ("name", "itemName", "title", "sku_attr")),
            "price": price.amount if price else None,
            "image": _first(item, ("image", "img", "sku_image")),
        }
        found.append({key: content for key, content in variant.items() if content not in (None, "")})
    return found


def _first(item: Mapping[str, Any], keys: tuple[str, ...]) -> str:
    return next((str(item[key]).strip() for key in keys if item.get(key) not in (None, "")), "")


def moment(value: Any) -> Any:
    """Read a time in a form that pydantic does not know (``2016/11/14``); others unchanged."""
    if isinstance(value, str):
        for form in _DATE_FORMATS:
            try:
                return datetime.strptime(value.strip(), form)
            except ValueError:
                continue
    return value
