"""Which product group a listing belongs to: the groups, the matcher, and the look-ups from others' names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

from features.group_file import FILE, GroupFile, ProductGroup, ProductGroupError, read_group_file
from features.group_matcher import GroupMatch, GroupMatcher
from features.own_files import data_file

__all__ = [
    "GroupFile",
    "GroupMatch",
    "GroupMatcher",
    "ProductGroup",
    "ProductGroupError",
    "ancestors",
    "load_groups",
    "of_cpsc",
    "of_inspection",
    "of_nyc",
    "read_group_file",
    "refine",
]


def load_groups(folder: Path | None = None) -> Mapping[str, ProductGroup]:
    """Return the product groups by code, in the order of the file.

    Raises
    ------
    ProductGroupError
        When the file is missing or has a wrong entry.
    """
    return read_group_file(folder).groups


def ancestors(code: str, groups: Mapping[str, ProductGroup] | None = None) -> tuple[str, ...]:
    """Return the wider groups, nearest first; none for a code that is not known."""
    groups = load_groups() if groups is None else groups
    found: list[str] = []
    while code in groups and (code := groups[code].parent):
        found.append(code)
    return tuple(found)


def refine(code: str, audience: str, groups: Mapping[str, ProductGroup] | None = None) -> str:
    """Return the group that takes over for an audience: clothing for under 14 is children's clothing.

    Parameters
    ----------
    code
        Product group, "" for none, which stays none.
    audience
        "under_3", "under_14" or "general". A group is never widened: children's clothing stays what it is
        where the listing says nothing of children.
    """
    groups = load_groups() if groups is None else groups
    return groups[code].refine_to.get(audience, code) if code in groups else code


@lru_cache(maxsize=8)
def _names(attribute: str, path: Path) -> Mapping[str, str]:
    return {
        " ".join(name.split()).casefold(): code
        for code, group in load_groups(path).items()
        for name in getattr(group, attribute)
    }


def _look_up(attribute: str, names: Iterable[str]) -> str:
    known = _names(attribute, data_file(FILE))
    for name in names:
        if found := known.get(" ".join(name.split()).casefold()):
            return found
    return ""


def of_cpsc(product_types: str) -> tuple[str, ...]:
    """Return the groups of CPSC's product types, parted by ``|``, in their order and each once."""
    found = (_look_up("cpsc_types", [part]) for part in product_types.split("|"))
    return tuple(dict.fromkeys(code for code in found if code))


def of_nyc(product_type: str) -> str:
    """Return the group of a product type of the New York laboratory results, "" when not known."""
    return _look_up("nyc_types", [product_type])


def of_inspection(product_group: str, product_group_ko: str = "") -> str:
    """Return the group of an inspection round: by its English name, else its Korean one, "" when not known."""
    return _look_up("inspection_names", [product_group, product_group_ko])
