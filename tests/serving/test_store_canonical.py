"""The fast writer of canonical JSON says what the reference says."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from serving.store.canonical import canonical, canonical_row
from serving.store.errors import InvalidRecordError

text = st.text(max_size=30)
floats = st.floats(allow_nan=False, allow_infinity=False)
whole = st.integers(-(2**53) + 1, 2**53 - 1)
scalars = st.none() | st.booleans() | whole | floats | text
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_same_bytes_as_the_reference(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(st.lists(st.none() | whole | text, max_size=8))
def test_rows_too(row):
    assert canonical_row(row) == rfc8785.dumps(row)


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        -0.0,
        1e-5,
        1e-4,
        9.999e-5,
        1e15,
        1e16,
        123456789012345680.0,
        1e20,
        1e21,
        1e-7,
        5e-324,
        1.7e308,
        0.1 + 0.2,
    ],
)
def test_numbers_where_printers_differ(value):
    assert canonical({"x": value}) == rfc8785.dumps({"x": value})


def test_keys_sort_by_utf16_beyond_the_basic_plane():
    value = {"\ufb33": 1, "\U0001f600": 2, "é": 3}
    assert canonical(value) == rfc8785.dumps(value)
    assert list(json.loads(canonical(value))) == ["é", "\U0001f600", "\ufb33"]


def test_other_mappings_and_sequences():
    from types import MappingProxyType

    assert canonical(MappingProxyType({"a": (1, 2)})) == b'{"a":[1,2]}'


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, "\ud800", {1: 2}, b"x", {"a": object()}]
)
def test_what_has_no_form_is_refused_without_repeating_it(value):
    with pytest.raises(InvalidRecordError, match="expected what RFC 8785 can write"):
        canonical([value])
