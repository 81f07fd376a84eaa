"""Canonical JSON (RFC 8785): one text for one value, so that a digest can be recomputed by anybody.

``rfc8785`` is the reference and does whatever is unusual. The common case goes through orjson, whose output is
the same once numbers are written as ECMAScript writes them; a property test holds the two equal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
import rfc8785

from serving.store.errors import InvalidRecordError

_EXACT = 2**53
# Between these, orjson and ECMAScript print the same digits without an exponent.
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e15


class _Unusual(Exception):  # noqa: N818 - a signal between two functions, not an error
    """The fast way does not hold for this value."""


def _number(value: float) -> Any:
    if _PLAIN_FROM <= abs(value) < _PLAIN_TO:
        return int(value) if value.is_integer() else value
    return orjson.Fragment(rfc8785.dumps(value))


def _prepare(value: Any) -> Any:
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is float:
        return _number(value)
    if kind is dict:
        for key in value:
            # UTF-16 order (RFC 8785) and code point order differ only beyond the basic plane.
            if type(key) is not str or not (key.isascii() or max(key) < "\U00010000"):
                raise _Unusual
        return {key: _prepare(item) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_prepare(item) for item in value]
    if kind is int and -_EXACT < value < _EXACT:
        return value
    raise _Unusual


def _plain(value: Any) -> Any:
    """Turn any mapping and sequence into the two types that rfc8785 takes."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray):
        return [_plain(item) for item in value]
    return value


def canonical(value: Any) -> bytes:
    """Write a JSON value in its canonical form.

    Parameters
    ----------
    value
        Anything that JSON can say: mappings with text keys, sequences, text, numbers, booleans, None.

    Returns
    -------
    bytes
        UTF-8, RFC 8785.

    Raises
    ------
    InvalidRecordError
        When the value has no canonical form: NaN, an integer beyond 2**53, half a surrogate pair, bytes.

    """
    try:
        return orjson.dumps(_prepare(value), option=orjson.OPT_SORT_KEYS)
    except (_Unusual, TypeError, orjson.JSONEncodeError, rfc8785.CanonicalizationError):
        pass
    try:
        return rfc8785.dumps(_plain(value))
    except (rfc8785.CanonicalizationError, UnicodeError, RecursionError, TypeError) as error:
        raise InvalidRecordError(
            f"got a value without canonical JSON form ({type(error).__name__}), expected what RFC 8785 can "
            "write: send finite numbers below 2**53 and valid Unicode"
        ) from None


def canonical_row(values: Sequence[str | int | None]) -> bytes:
    """Write one flat row of text, whole numbers and None; the same form, without the search for numbers."""
    return orjson.dumps(values)
