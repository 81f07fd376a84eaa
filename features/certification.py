"""Korean KC certificates: which goods need a number, what sellers wrote, and what the register says of it.

A missing number means something only where the class of goods has numbers: supplier-declared goods have none, and goods
under a safety standard have no certificate at all. "Not in the register" is not "uncertified" for the same reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from features.certification_file import CertificationFile, squeeze
from features.kc_register import PLAIN, Register, RegisterError, plain_number
from features.own_files import data_file
from features.schema import Certificate
from features.taxonomy_file import read_yaml

__all__ = [
    "Finding",
    "FindingKind",
    "KcNumber",
    "NumberFinding",
    "Register",
    "RegisterError",
    "Requirement",
    "check",
    "load_certification",
    "parse_numbers",
    "plain_number",
    "requirement",
    "standing_of",
]

FindingKind = Literal[
    "ok", "missing", "malformed", "cancelled", "invalid", "mismatch", "unregistered", "not_needed", "unknown"
]
State = Literal["valid", "cancelled", "invalid"]
# Gravest first: a cancelled certificate beside a good one is still shown by the seller.
_GRAVITY: tuple[FindingKind, ...] = ("cancelled", "invalid", "mismatch", "unregistered", "ok")


@dataclass(frozen=True, slots=True)
class KcNumber:
    """A certificate number found in text.

    ``number`` is in its plain form, ``written`` as the seller wrote it at ``start`` to ``end``; ``family`` names the
    numbering scheme.
    """

    number: str
    family: str
    written: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class NumberFinding:
    """What is to be said of one number; ``state`` is the register's own word, "" without one."""

    number: str
    family: str
    kind: FindingKind
    state: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a listing's certificates come to.

    Attributes
    ----------
    kind
        ``missing`` where a number is required; ``malformed`` when what was written is no number; ``cancelled``,
        ``invalid`` (expired, returned, suspended) or ``unregistered`` by the register; ``mismatch`` for a number of
        another family of goods; ``not_needed`` for goods without numbers; ``unknown`` when the class is not known;
        else ``ok``.
    kc_class
        Code of the class the goods fall into.
    mark
        How well that class is known: ``read_secondary``, ``inferred``, ``unverified``.
    verified
        Whether a register confirmed every number.
    numbers
        One finding per number.
    """

    kind: FindingKind
    kc_class: str
    mark: str
    verified: bool
    numbers: tuple[NumberFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Requirement:
    """Class of a product group; ``families`` are the acceptable number families, empty for any."""

    kc_class: str
    number_required: bool
    families: frozenset[str]
    mark: str


def load_certification(folder: Path | None = None) -> CertificationFile:
    """Read the certification rules; raises `TaxonomyError` naming a wrong entry.

    Parameters
    ----------
    folder
        Folder with a ``certification.yaml`` of your own; None for the one of `features.own_files.data_file`, read
        once.
    """
    if folder is not None:
        return read_yaml(folder / "certification.yaml", CertificationFile)
    return _read(data_file("certification.yaml"))


@lru_cache(maxsize=4)
def _read(path: Path) -> CertificationFile:
    return read_yaml(path, CertificationFile)


def parse_numbers(text: str, rules: CertificationFile | None = None) -> tuple[KcNumber, ...]:
    """Find certificate numbers as people write them: lower case, blanks inside, several, words in brackets.

    Parameters
    ----------
    text
        Any text.
    rules
        None for the package's.

    Returns
    -------
    tuple of KcNumber
        In order of appearance, each number once.
    """
    found: dict[str, KcNumber] = {}
    for match in (rules or load_certification()).scanner.finditer(text.translate(PLAIN)):
        number = plain_number(match.group())
        if number not in found:
            written = text[match.start() : match.end()]
            found[number] = KcNumber(number, match.lastgroup or "", written, match.start(), match.end())
    return tuple(found.values())


def requirement(
    group: str,
    audience: str = "general",
    rules: CertificationFile | None = None,
    parents: Mapping[str, str | None] | None = None,
) -> Requirement:
    """Class that goods of a group fall into.

    Parameters
    ----------
    group
        Product group code; a group without an entry takes its parent's. "" for none.
    audience
        A child audience brings the children's act.
    rules
        None for the package's.
    parents
        Group code to parent code; None for that of the product groups.

    Returns
    -------
    Requirement
        ``unknown`` for a group that is not known.
    """
    rules = rules or load_certification()
    entry = rules.groups.get(group)
    seen: set[str] = set()
    while entry is None and group and group not in seen:
        seen.add(group)
        parents = _parents() if parents is None else parents
        group = parents.get(group) or ""
        entry = rules.groups.get(group)
    child = audience in rules.child_audiences
    if entry is None:
        kc_class, family, mark = (
            (rules.child_default if child else "unknown"),
            None,
            "inferred" if child else "unverified",
        )
    else:
        kc_class = (entry.child or rules.child_default) if child else entry.kc_class
        family, mark = entry.family, entry.mark
    required = kc_class in rules.classes and rules.classes[kc_class].number == "required"
    families = frozenset(rules.accepted[family]) if family and required else frozenset()
    return Requirement(kc_class, required, families, mark)


def _parents() -> Mapping[str, str | None]:
    return _parents_in(data_file("product_groups.yaml"))


@lru_cache(maxsize=4)
def _parents_in(path: Path) -> Mapping[str, str | None]:
    from features.groups import load_groups

    return {code: group.parent for code, group in load_groups(path).items()}


def check(
    claimed: Sequence[Certificate | str],
    group: str,
    register: Register | None = None,
    audience: str = "general",
    rules: CertificationFile | None = None,
) -> Finding:
    """Check the certificates a listing claims.

    Parameters
    ----------
    claimed
        Certificates of the listing, or texts as written.
    group
        Product group code, "" for none.
    register
        What was imported; without one a well-formed number counts as ``ok``, unverified.
    audience
        ``under_3``, ``under_14`` or ``general``.
    rules
        None for the package's.

    Returns
    -------
    Finding
    """
    rules = rules or load_certification()
    need = requirement(group, audience, rules)
    texts = [
        (claim, True) if isinstance(claim, str) else (claim.number or "", _is_kc(claim, rules))
        for claim in claimed
    ]
    numbers = {number.number: number for text, _ in texts for number in parse_numbers(text, rules)}
    findings = tuple(_judge(number, need, register, rules) for number in numbers.values())
    if findings:
        kind: FindingKind = min((finding.kind for finding in findings), key=lambda kind: _GRAVITY.index(kind))
    elif not need.number_required:
        kind = "unknown" if need.kc_class == "unknown" else "not_needed"
    else:
        kind = "malformed" if any(kc and _attempt(text, rules) for text, kc in texts) else "missing"
    verified = register is not None and bool(findings) and all(finding.state for finding in findings)
    return Finding(kind, need.kc_class, need.mark, verified, findings)


def _judge(
    number: KcNumber, need: Requirement, register: Register | None, rules: CertificationFile
) -> NumberFinding:
    state = register.state(number.number) if register else None
    kind: FindingKind = "ok"
    if state is not None and (standing := standing_of(state, rules)) != "valid":
        kind = standing
    elif need.families and number.family not in need.families:
        kind = "mismatch"
    elif register is not None and state is None:
        kind = "unregistered"
    return NumberFinding(number.number, number.family, kind, state or "")


def standing_of(state: str, rules: CertificationFile | None = None) -> State:
    """Whether a register state is ``valid``, ``cancelled`` or ``invalid``; an unknown word is invalid."""
    states = (rules or load_certification()).states
    if state.strip() in states.valid:
        return "valid"
    return "cancelled" if any(word in state for word in states.cancelled) else "invalid"


def _is_kc(claim: Certificate, rules: CertificationFile) -> bool:
    kind = squeeze(claim.kind)
    return any(word in kind for word in rules.kinds)


def _attempt(text: str, rules: CertificationFile) -> bool:
    """Whether a text without a number tries to be one: words alone are no attempt."""
    return squeeze(text) not in rules.blanks and any(character.isdigit() for character in text)
