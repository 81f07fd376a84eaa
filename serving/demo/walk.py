"""What the walk round the laboratory loop has in hand: its folder, its time, what it has done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ACTOR = "demo"
FIRST, SECOND = "2026-12", "2027-01"
START = datetime(2026, 11, 23, 9, tzinfo=UTC)
Say = Callable[[str], None]


@dataclass(slots=True)
class Clock:
    """A clock that stands still until it is moved on."""

    now: datetime = START

    def __call__(self) -> datetime:
        """Return the time."""
        return self.now


@dataclass(slots=True)
class Walk:
    """What the walk has in hand."""

    folder: Path
    seed: int
    say: Say
    clock: Clock = field(default_factory=Clock)
    report: dict[str, Any] = field(default_factory=dict)

    def note(self, step: str, text: str, **facts: Any) -> None:
        """Say what a step did, and keep it for the report."""
        self.report[step] = {"in_words": text, **facts}
        self.say(f"[bold]{step}[/]  {text}")
