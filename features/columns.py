"""Which foreign column feeds which of our fields, as data: ``title=name,price=min_price,market='KR'``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from features import cells
from features.own_files import data_file
from features.rows import ReadError, closest
from features.schema import Listing, Seller, SellerHistory

_SELLER = tuple(f"seller.{name}" for name in Seller.model_fields if name != "history")
_HISTORY = tuple(f"seller.history.{name}" for name in SellerHistory.model_fields)
FIELDS = (*(name for name in Listing.model_fields if name != "seller"), *_SELLER, *_HISTORY)
_TIMES = frozenset(
    {"created_at", "updated_at", "scored_at", "seller.history.as_of", "seller.history.first_seen"}
)
_COUNTS = frozenset({"units_sold", *(name for name in _HISTORY if name not in _TIMES)})
_LISTS = frozenset({"bullets", "images", "category", "certificates", "variants", "attributes"})
_ENTRY = re.compile(r"""((?:[^,"']|"[^"]*"|'[^']*')+)(?:,|$)""")
_PART = re.compile(r"""\s*("[^"]*"|[^|+~"\s][^|+~"]*)\s*(?:~(.+)$|([|+]|$))""")


@dataclass(frozen=True, slots=True)
class Column:
    """A foreign column: its name or dotted path, and a pattern whose first group is taken from its text."""

    path: str
    pattern: re.Pattern[str] | None = None

    def value(self, row: Mapping[str, Any]) -> Any:
        """The cell, or None where the row has none."""
        found = row[self.path] if self.path in row else _walk(row, self.path.split("."))
        if self.pattern is not None and found is not None:
            match = self.pattern.search(str(found))
            return (match.group(1) if self.pattern.groups else match.group(0)) if match else None
        return found


def _walk(value: Any, parts: Sequence[str]) -> Any:
    for place, part in enumerate(parts):
        value = cells.structure(value)
        if isinstance(value, list | tuple):
            found = [_walk(item, parts[place:]) for item in value]
            return [item for item in found if item is not None] or None
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


@dataclass(frozen=True, slots=True)
class Rule:
    """How one field is filled: a constant, the first filled column, or all columns joined."""

    columns: tuple[Column, ...] = ()
    constant: str | None = None
    joined: bool = False

    def value(self, row: Mapping[str, Any]) -> Any:
        """What the row gives for the field; None where it gives nothing."""
        if self.constant is not None:
            return self.constant
        found = (column.value(row) for column in self.columns)
        filled = [item for item in found if item is not None and item != ""]
        if not filled:
            return None
        return filled if self.joined else filled[0]

    @classmethod
    def parse(cls, text: str, field: str) -> Rule:
        """Read ``'constant'``, ``column``, ``a.b``, ``a|b`` (first filled), ``a+b`` (joined), ``a~regex`` (last)."""
        text = text.strip()
        if len(text) >= 2 and text[0] == text[-1] == "'":
            return cls(constant=text[1:-1])
        columns, joined, place = [], False, 0
        while place < len(text):
            match = _PART.match(text, place)
            if match is None or match.end() == place:
                raise ReadError(
                    f"column map: cannot read {text!r} for {field!r}; quote names that hold | + ~ or ,"
                )
            pattern = match[2].strip() if match[2] else None
            columns.append(Column(match[1].strip().strip('"'), _compile(pattern, field)))
            joined, place = joined or match[3] == "+", match.end()
        if not columns:
            raise ReadError(
                f"column map: {field!r} names no column; write {field}=column or {field}='constant'"
            )
        return cls(tuple(columns), joined=joined)


def _compile(pattern: str | None, field: str) -> re.Pattern[str] | None:
    try:
        return re.compile(pattern) if pattern else None
    except re.error as error:
        raise ReadError(
            f"column map: pattern {pattern!r} for {field!r} is no regular expression: {error}"
        ) from None


@cache
def read_maps(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Read a file of named column maps, such as ``column_maps.yaml``.

    Raises
    ------
    ReadError
        When it is no such file.
    """
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ReadError(f"{path}: expected a YAML file of column maps in UTF-8, got: {error}") from None
    if not isinstance(read, dict) or not all(isinstance(rules, dict) for rules in read.values()):
        raise ReadError(f"{path}: expected names of maps, each with entries such as 'title: name'")
    return MappingProxyType(
        {str(name): {str(k): str(v) for k, v in rules.items()} for name, rules in read.items()}
    )


def named_maps() -> Mapping[str, Mapping[str, str]]:
    """Return the maps of the package by name."""
    return read_maps(data_file("column_maps.yaml"))


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """Rules by field; ``optional`` maps bear that columns other than the title's are absent."""

    rules: Mapping[str, Rule]
    name: str = ""
    optional: bool = False

    @classmethod
    def named(cls, name: str) -> ColumnMap:
        """One of the maps in ``column_maps.yaml``.

        Raises
        ------
        ReadError
            When there is none of that name; the message lists them.
        """
        known = named_maps()
        if name not in known:
            raise ReadError(
                f"got column map {name!r}{closest(name, list(known))}, expected one of {', '.join(known)}"
            )
        return cls(_rules(known[name].items()), name, optional=True)

    @classmethod
    def parse(cls, text: str) -> ColumnMap:
        """Read the command line's form.

        Parameters
        ----------
        text
            ``@name`` or ``name`` of a built-in map, or ``field=column`` entries parted by commas, or both:
            ``@amazon_in,market='US'`` changes one entry of a built-in map.

        Raises
        ------
        ReadError
            With what could not be read.
        """
        base, pairs = None, []
        for entry in _ENTRY.findall(text):
            field, equals, source = entry.strip().partition("=")
            if equals:
                pairs.append((field.strip(), source))
            elif base is None and not pairs:
                base = cls.named(field.removeprefix("@"))
            else:
                raise ReadError(f"column map: got {entry!r}, expected field=column")
        if base is None and not pairs:
            raise ReadError("column map is empty: write title=column,... or the name of a built-in map")
        rules = _rules(pairs)
        if base is None:
            return cls(rules)
        return cls(MappingProxyType({**base.rules, **rules}), base.name, optional=True)

    def paths(self) -> dict[str, tuple[str, ...]]:
        """Column paths each field asks for, constants left out."""
        return {
            field: tuple(c.path for c in rule.columns) for field, rule in self.rules.items() if rule.columns
        }

    def missing(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Say which needed columns are not among those that exist, each with the nearest."""
        there = set(columns)
        absent = []
        for field, paths in self.paths().items():
            if self.optional and field != "title":
                continue
            if not any(path in there or path.split(".")[0] in there for path in paths):
                absent.append(f"{' or '.join(map(repr, paths))} for {field}{closest(paths[0], columns)}")
        return tuple(absent)


def _rules(pairs: Iterable[tuple[str, str]]) -> Mapping[str, Rule]:
    rules: dict[str, Rule] = {}
    for field, source in pairs:
        if field not in FIELDS and not field.startswith("attributes."):
            expected = f"one of {', '.join(FIELDS)} or attributes.NAME"
            raise ReadError(f"column map: got field {field!r}{closest(field, FIELDS)}, expected {expected}")
        rules[field] = Rule.parse(str(source), field)
    return MappingProxyType(rules)


@cache
def identity(columns: tuple[str, ...]) -> ColumnMap:
    """The map for a table that already uses our field names."""
    return ColumnMap(_rules((name, f'"{name}"') for name in columns))


def convert(columns: ColumnMap, row: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Fill our fields from a foreign row.

    Returns
    -------
    raw : dict
        For `features.schema.parse_listing`.
    kept : tuple of str
        Optional fields whose text could not be read; the text is kept among the attributes under
        ``field (as given)``, so that nothing a seller wrote is lost.
    """
    raw: dict[str, Any] = {}
    attributes: dict[str, str] = {}
    kept: list[str] = []
    for field, rule in columns.rules.items():
        value = rule.value(row)
        if value is None:
            continue
        if field.startswith("attributes."):
            attributes[field[11:]] = _text(value)
        elif field == "attributes":
            attributes |= cells.pairs(value) if not rule.joined else _joined_pairs(value)
        elif field in _LISTS:
            if listed := [
                item for part in (value if rule.joined else [value]) for item in _list(field, part)
            ]:
                raw[field] = listed
        elif (read := _read(field, value, rule.joined, raw)) is not None:
            _place(raw, field, read)
        else:
            kept.append(field)
            attributes[f"{field} (as given)"] = _text(value)
    if attributes:
        raw["attributes"] = {name or "details": content for name, content in attributes.items() if content}
    return raw, tuple(kept)


def _joined_pairs(values: Sequence[Any]) -> dict[str, str]:
    merged: dict[str, str] = {}
    for value in values:
        merged |= cells.pairs(value)
    return merged


def _place(raw: dict[str, Any], field: str, value: Any) -> None:
    *path, name = field.split(".")
    for part in path:
        raw = raw.setdefault(part, {})
    raw[name] = value


def _read(field: str, value: Any, joined: bool, raw: dict[str, Any]) -> Any:
    """The value in our type; None where an optional field's text says nothing we can read."""
    if joined:
        value = (" " if field == "title" else "\n").join(_text(part) for part in value)
    if field == "price":
        money = cells.money(value)
        if money is not None and money.currency:
            raw.setdefault("currency", money.currency)
        return None if money is None else money.amount
    if field in _COUNTS:
        return cells.count(value)
    if field == "rating":
        return cells.number(value)
    if field in _TIMES:
        return cells.moment(value)
    text = _text(value, "\n" if field == "description" else ", ")
    return text.upper() if field in ("currency", "market") else text


def _list(field: str, value: Any) -> list[Any]:
    if field == "images":
        return cells.texts(value, urls=True)
    readers = {"category": cells.category, "certificates": cells.certificates, "variants": cells.variants}
    return readers.get(field, cells.texts)(value)


def _text(value: Any, separator: str = ", ") -> str:
    value = cells.structure(value) if isinstance(value, str) and value[:1] == "[" else value
    if isinstance(value, list | tuple):
        return separator.join(_text(item) for item in value if item not in (None, ""))
    return value.strip() if isinstance(value, str) else str(value)
