"""How well reviewers do: golden items, where the right answer is known, and how often second persons agree. Pure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

_Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class GoldenAnswer:
    """One answer to a golden item, and the right one."""

    actor: str
    choice: str
    right: str


@dataclass(frozen=True, slots=True)
class SecondLook:
    """What became of a proposal: ``agreed`` by the second person or not."""

    actor: str
    agreed: bool


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its 95 % interval (Wilson)."""

    part: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float | None:
        """The share, None of nothing."""
        return self.part / self.of if self.of else None


@dataclass(frozen=True, slots=True)
class ReviewerQuality:
    """How one reviewer does.

    Attributes
    ----------
    right
        Golden items answered as they should be.
    missed
        Golden items that had to be stopped (blocked or tested) and were let through.
    stopped_wrongly
        Golden items that are fine and were blocked.
    agreed
        Proposals that the second person agreed to.
    decided
        Decisions in the time looked at.
    """

    actor: str
    right: Share
    missed: Share
    stopped_wrongly: Share
    agreed: Share
    decided: int


def wilson(part: int, of: int) -> Share:
    """Return a share with Wilson's score interval (Wilson 1927), 0 to 1 where there is nothing to count.

    Examples
    --------
    >>> found = wilson(9, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.596, 0.982)
    """
    if of == 0:
        return Share(0, 0, 0.0, 1.0)
    p, zz = part / of, _Z * _Z
    middle = (p + zz / (2 * of)) / (1 + zz / of)
    reach = _Z / (1 + zz / of) * math.sqrt(p * (1 - p) / of + zz / (4 * of * of))
    low = 0.0 if part == 0 else max(0.0, middle - reach)  # exact where rounding would miss it
    return Share(part, of, low, 1.0 if part == of else min(1.0, middle + reach))


def quality(
    answers: Iterable[GoldenAnswer], looks: Iterable[SecondLook], decided: Iterable[tuple[str, int]]
) -> tuple[ReviewerQuality, ...]:
    """Work out how each reviewer does, those with the most golden answers first.

    Parameters
    ----------
    decided
        Reviewer and number of decisions.
    """
    golden: dict[str, list[GoldenAnswer]] = defaultdict(list)
    seconds: dict[str, list[bool]] = defaultdict(list)
    for answer in answers:
        golden[answer.actor].append(answer)
    for look in looks:
        seconds[look.actor].append(look.agreed)
    counts = dict(decided)
    names = sorted({*golden, *seconds, *counts})
    found = [_one(name, golden[name], seconds[name], counts.get(name, 0)) for name in names]
    return tuple(sorted(found, key=lambda one: (-one.right.of, -one.decided, one.actor)))


def _one(name: str, answers: list[GoldenAnswer], seconds: list[bool], decided: int) -> ReviewerQuality:
    bad = [a for a in answers if a.right in ("block", "lab_test")]
    fine = [a for a in answers if a.right not in ("block", "lab_test")]
    return ReviewerQuality(
        name,
        right=wilson(sum(a.choice == a.right for a in answers), len(answers)),
        missed=wilson(sum(a.choice in ("allow", "not_hazard") for a in bad), len(bad)),
        stopped_wrongly=wilson(sum(a.choice == "block" for a in fine), len(fine)),
        agreed=wilson(sum(seconds), len(seconds)),
        decided=decided,
    )
