"""The marketplace's orders file: who bought what failed. Only counts and sums leave this module.

Columns: ``listing_id``, ``amount``, and any of ``marketplace``, ``currency``, ``quantity``, ``state`` (``refunded`` and
its words in Korean and Chinese; anything else is open). Other columns, buyers among them, are read over and forgotten.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from features.errors import UserError
from serving.labs.columns import fold
from serving.labs.files import SIZE_MAX

_COLUMNS = {
    "listing_id": ("listing_id", "listing", "product_id", "상품번호", "商品编号"),
    "marketplace": ("marketplace", "platform", "플랫폼", "平台"),
    "amount": ("amount", "paid", "price", "결제금액", "금액", "金额"),
    "currency": ("currency", "통화", "币种"),
    "quantity": ("quantity", "qty", "수량", "数量"),
    "state": ("state", "status", "refund", "환불상태", "상태", "状态"),
}
_REFUNDED = frozenset(
    {"refunded", "refund done", "done", "yes", "y", "true", "1", "환불완료", "환불", "완료", "已退款"}
)


class OrdersError(UserError):
    """An orders file that cannot be used; says which line and what is expected."""


@dataclass(slots=True)
class _Sum:
    marketplace: str
    listing_id: str
    orders: int = 0
    units: int = 0
    refunded: int = 0
    amount: float = 0.0
    refunded_amount: float = 0.0
    currency: str = ""


@dataclass(frozen=True, slots=True)
class OrdersSummary:
    """Counts by listing; ``others`` orders were of listings that nothing is open on."""

    listings: tuple[Mapping[str, Any], ...]
    others: int = 0


def summarise_orders(
    content: bytes, wanted: Mapping[tuple[str, str], str], name: str = "orders.csv"
) -> OrdersSummary:
    """Count orders of the listings that are wanted.

    Parameters
    ----------
    content
        CSV in UTF-8.
    wanted
        (marketplace, listing id) of every listing with an open case -> case id.

    Raises
    ------
    OrdersError
        When the file cannot be read; nothing of it is taken then.
    """
    if len(content) > SIZE_MAX:
        raise OrdersError(f"{name}: got {len(content):,} bytes; expected at most {SIZE_MAX:,}")
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise OrdersError(f"{name}: expected CSV in UTF-8, got: {str(error)[:100]}") from None
    if not rows:
        raise OrdersError(f"{name}: got an empty file; expected columns listing_id and amount")
    known = {fold(header): field for field, headers in _COLUMNS.items() for header in headers}
    places = {known[fold(header)]: at for at, header in enumerate(rows[0]) if fold(header) in known}
    if missing := [column for column in ("listing_id", "amount") if column not in places]:
        raise OrdersError(f"{name}: found no column for {', '.join(missing)}; expected listing_id and amount")
    by_id = {listing_id: marketplace for marketplace, listing_id in wanted}
    sums: dict[tuple[str, str], _Sum] = {}
    others = 0
    for line, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        values = {column: row[at].strip() if at < len(row) else "" for column, at in places.items()}
        listing_id = values["listing_id"]
        key = (values.get("marketplace") or by_id.get(listing_id, ""), listing_id)
        if key not in wanted:
            others += 1
            continue
        _add(sums.setdefault(key, _Sum(*key)), values, f"{name}: line {line}")
    return OrdersSummary(tuple(_json(one) for one in sums.values()), others)


def _add(total: _Sum, values: Mapping[str, str], where: str) -> None:
    try:
        amount = float(values["amount"].replace(",", ""))
        units = int(values.get("quantity") or 1)
    except ValueError:
        raise OrdersError(f"{where}: got amount or quantity that is no number") from None
    if not 0 <= amount < 1e12 or not 0 < units < 1e9:
        raise OrdersError(f"{where}: got an amount or quantity out of range")
    currency = values.get("currency") or "KRW"
    if total.currency and currency != total.currency:
        raise OrdersError(
            f"{where}: got {currency[:8]} after {total.currency}; expected one currency a listing"
        )
    total.currency = currency
    total.orders += 1
    total.units += units
    total.amount += amount
    if values.get("state", "").casefold() in _REFUNDED:
        total.refunded += 1
        total.refunded_amount += amount


def _json(one: _Sum) -> dict[str, Any]:
    return {
        "marketplace": one.marketplace,
        "listing_id": one.listing_id,
        "orders": one.orders,
        "units": one.units,
        "refunded": one.refunded,
        "amount": round(one.amount, 2),
        "refunded_amount": round(one.refunded_amount, 2),
        "currency": one.currency,
    }
