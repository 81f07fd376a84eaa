"""What a kind of notice asks for and by when, read from ``notices.yaml``."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from features.errors import UserError
from features.yaml_file import read_as
from serving.notices.calendar import CalendarError, WorkingDays

RULES = Path(__file__).with_name("notices.yaml")

NoticeKind = Literal["order", "alert", "recall", "laboratory"]
TaskKind = Literal["check", "removal", "stop_sale", "consumer_notice", "refund", "report"]


class RulesError(UserError):
    """A file of notice rules that cannot be used."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KindRule(_Part):
    """Tasks of a kind of notice: once for the notice, and for each listing."""

    notice: tuple[TaskKind, ...]
    listing: tuple[TaskKind, ...]


class DeadlineRule(_Part):
    """How long a task may take; ``kind`` and ``jurisdiction`` None fit all."""

    task: TaskKind
    kind: NoticeKind | None = None
    jurisdiction: str | None = None
    working_days: Annotated[int, Field(ge=1, le=250)] | None = None
    days: Annotated[int, Field(ge=1, le=730)] | None = None
    mark: Literal["read", "read2", "assumption"]
    source: str

    @model_validator(mode="after")
    def _one_measure(self) -> DeadlineRule:
        if (self.working_days is None) == (self.days is None):
            raise ValueError("give either working_days or days")
        return self


class NoticeRules(_Part):
    """The whole file."""

    version: str
    kinds: dict[NoticeKind, KindRule]
    deadlines: tuple[DeadlineRule, ...]
    acknowledge_hours: Annotated[float, Field(gt=0)]
    zones: dict[str, str]

    def calendar(self, jurisdiction: str) -> WorkingDays:
        """Return the calendar of a jurisdiction.

        Raises
        ------
        CalendarError
        """
        if jurisdiction not in self.zones:
            raise CalendarError(
                f"got jurisdiction {jurisdiction[:20]!r}, expected one of {', '.join(sorted(self.zones))}"
            )
        return WorkingDays(jurisdiction, self.zones[jurisdiction])

    def deadline(self, task: TaskKind, kind: NoticeKind, jurisdiction: str) -> DeadlineRule:
        """Return the first rule that fits.

        Raises
        ------
        RulesError
            When none does.
        """
        for rule in self.deadlines:
            fits = rule.task == task and rule.kind in (None, kind)
            if fits and rule.jurisdiction in (None, jurisdiction):
                return rule
        raise RulesError(f"got task {task!r} without a deadline: add one to the notice rules")

    def due(self, task: TaskKind, kind: NoticeKind, jurisdiction: str, received: datetime) -> datetime:
        """Return when a task must be done, UTC."""
        rule = self.deadline(task, kind, jurisdiction)
        return self.calendar(jurisdiction).after(
            received, working_days=rule.working_days or 0, days=rule.days or 0
        )


@lru_cache(maxsize=4)
def load_notice_rules(path: Path = RULES) -> NoticeRules:
    """Read the rules.

    Raises
    ------
    RulesError
        Naming every wrong field.
    """
    return read_as(NoticeRules, path, RulesError)
