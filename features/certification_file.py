"""The form of ``certification.yaml``: classes, groups, number families, register states."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from features.taxonomy_file import Audience, Code, Mark, Names


def _regex(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"got {pattern!r}, expected a regular expression ({error})") from None
    return pattern


Regex = Annotated[str, AfterValidator(_regex)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassEntry(_Entry):
    """One class of the KC regime; ``number`` says whether its goods carry a certificate number."""

    names: Names
    number: Literal["required", "none"]


class GroupEntry(_Entry):
    """The class of a product group, for everybody and for goods meant for children."""

    kc_class: Code = Field(alias="class")
    child: Code | None = None
    family: Code | None = None
    mark: Mark
    note: str = ""


class FamilyEntry(_Entry):
    """A family of certificate numbers."""

    names: Names
    pattern: Regex
    scan: Regex
    mark: Mark


class StatesEntry(_Entry):
    """Words of the register's state column, matched by containment in this order."""

    valid: list[str]
    cancelled: list[str]
    invalid: list[str]


class CertificationFile(_Entry):
    """The whole of ``certification.yaml``."""

    version: Literal[1]
    source: str
    classes: dict[Code, ClassEntry]
    child_audiences: list[Audience]
    child_default: Code
    groups: dict[Code, GroupEntry]
    families: dict[Code, FamilyEntry]
    accepted: dict[Code, list[Code]]
    no_number: list[str]
    states: StatesEntry
    kc_kinds: list[str]

    @model_validator(mode="after")
    def _known(self) -> Self:
        for code, group in self.groups.items():
            for kc_class in (group.kc_class, group.child):
                if kc_class is not None and kc_class not in self.classes:
                    raise ValueError(
                        f"groups.{code}: got class {kc_class!r}, expected one of {', '.join(self.classes)}"
                    )
            if group.family is not None and group.family not in self.accepted:
                raise ValueError(f"groups.{code}: got family {group.family!r}, expected one of `accepted`")
        for family, others in self.accepted.items():
            if missing := {family, *others} - set(self.families):
                raise ValueError(f"accepted.{family}: got {sorted(missing)}, expected names under `families`")
        if self.child_default not in self.classes:
            raise ValueError(
                f"child_default: got {self.child_default!r}, expected one of {', '.join(self.classes)}"
            )
        return self

    @cached_property
    def scanner(self) -> re.Pattern[str]:
        """Finds numbers of every family in text; the group's name is the family."""
        families = "|".join(f"(?P<{name}>{family.scan})" for name, family in self.families.items())
        return re.compile(f"(?<![A-Z0-9])(?:{families})(?![A-Z0-9])", re.IGNORECASE | re.ASCII)

    @cached_property
    def blanks(self) -> frozenset[str]:
        """Entries of ``no_number``, folded."""
        return frozenset(squeeze(word) for word in self.no_number)

    @cached_property
    def kinds(self) -> tuple[str, ...]:
        """Entries of ``kc_kinds``, folded."""
        return tuple(squeeze(kind) for kind in self.kc_kinds)


def squeeze(text: str) -> str:
    """Fold case and drop blanks, underscores and outer brackets."""
    return "".join(text.casefold().replace("_", "").split()).strip("()[]<>\"'.,")
