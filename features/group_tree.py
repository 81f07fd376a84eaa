"""How product groups hang together: parents, families, and which group takes over for children."""

from __future__ import annotations

from collections.abc import Mapping

from features.group_file import ProductGroup


class GroupTree:
    """Groups by number, in the order of their mapping.

    Parameters
    ----------
    groups
        By code, as `features.groups.load_groups` returns them.

    Attributes
    ----------
    codes, groups
        By number.
    parent
        Number of the wider group, -1 at the top.
    lines
        The group itself and all wider ones, nearest first.
    """

    def __init__(self, groups: Mapping[str, ProductGroup]) -> None:
        self.codes = tuple(groups)
        self.groups = tuple(groups.values())
        index = {code: i for i, code in enumerate(self.codes)}
        self.parent = tuple(index.get(group.parent, -1) for group in self.groups)
        self.lines = tuple(self._line(i) for i in range(len(self.codes)))
        self._children_of = tuple(
            frozenset(index[code] for code in group.refine_to.values()) for group in self.groups
        )

    def _line(self, group: int) -> tuple[int, ...]:
        line = [group]
        while (group := self.parent[group]) >= 0:
            line.append(group)
        return tuple(line)

    def related(self, a: int, b: int) -> bool:
        """Whether one lies above the other, or they are the same."""
        return a in self.lines[b] or b in self.lines[a]

    def child_form(self, group: int, of: int) -> bool:
        """Whether ``group``, or one above it, is what ``of`` becomes for children."""
        return not self._children_of[of].isdisjoint(self.lines[group])

    def family(self, group: int) -> str:
        """Return the code of the widest group below the top; categories mix household and electrical goods."""
        line = self.lines[group]
        code = self.codes[line[max(len(line) - 2, 0)]]
        return "household_goods" if code == "electrical_goods" else code

    def kin(self, group: int) -> frozenset[int]:
        """Return the parent and the brothers."""
        parent = self.parent[group]
        brothers = (i for i, other in enumerate(self.parent) if other == parent and i != group)
        return frozenset((parent, *brothers))
