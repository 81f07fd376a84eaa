"""Check one window of rows against what was recorded of them. Pure, and written for speed: it sees every row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

from serving.store.canonical import canonical_row
from serving.store.chain import CONTENT, PAYLOAD, REASONS, leaf, salted
from serving.store.prepare import content_digest
from serving.store.retention import ERASURE
from serving.store.scan import Window, as_bytes
from serving.store.schema import decisions as _decisions

_COLUMN = {name: position for position, name in enumerate(_decisions.columns.keys())}
_RECEIVED, _PAYLOAD, _REASONS, _IMAGES = (
    _COLUMN[name] for name in ("received_at", "payload_digest", "reasons_digest", "image_digests")
)
_HARM, _P, _SCORES = (_COLUMN[name] for name in ("expected_harm", "p_noncompliant", "scores"))


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that does not hold.

    Attributes
    ----------
    kind
        ``altered``, ``removed``, ``unrecorded`` (in a table but not in the chain), ``truncated``, ``rewritten``
        (a signed checkpoint knows another chain), ``erased`` (gone without an audited erasure), ``state``
        (a listing's state is not its last decision's) or ``checkpoint``.
    where
        Such as ``decision 17``, ``link 3 (rows 9-12)``.
    """

    kind: str
    where: str
    detail: str


@dataclass(slots=True)
class Findings:
    """What a window's rows say.

    Attributes
    ----------
    leaves
        Leaf hash by sequence number, of the audit rows as they stand.
    erased
        How many inputs each erasure erased.
    erasures
        What each erasure's own row says of it.
    """

    leaves: dict[int, bytes] = field(default_factory=dict)
    rows: int = 0
    decisions: int = 0
    erased: Counter[int] = field(default_factory=Counter)
    erasures: dict[int, dict[str, Any]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def found(self, kind: str, where: str, detail: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, where, detail))

    def add(self, other: Findings) -> None:
        """Take in what the next window says."""
        self.leaves |= other.leaves
        self.rows += other.rows
        self.decisions += other.decisions
        self.erased += other.erased
        self.erasures |= other.erasures
        self.problems += other.problems


def check_window(window: Window) -> Findings:
    """Compare every audit row with its content, every decision with its input and photos."""
    findings = Findings(rows=len(window.rows))
    digests = {
        row[0]: (kind, digest)
        for kind, rows in window.contents.items()
        for row, digest in zip(rows, _digests(kind, rows), strict=True)
    }
    leaves = findings.leaves
    for row in window.rows:
        seq, at, kind, actor, subject, digest = row
        digest = as_bytes(digest)
        try:
            leaves[seq] = leaf(seq, at, kind, actor, subject, digest)
        except TypeError:  # text that is not UTF-8, or no text at all
            leaves[seq] = b""
        stored = digests.pop(seq, None)
        if stored is None:
            findings.found("removed", f"{kind} {seq}", "the chain has it, its table does not")
        elif stored != (kind, digest):
            findings.found("altered", f"{kind} {seq}", "what is stored is not what was recorded")
        elif kind == "note" and subject == ERASURE:
            findings.erasures[seq] = _note(window, seq)
    for seq, (kind, _) in digests.items():
        findings.found("unrecorded", f"{kind} {seq}", "it stands in its table, the chain does not have it")
    _check_inputs(window, findings)
    return findings


def _digests(kind: str, rows: Sequence[Any]) -> list[bytes]:
    fast = _decision_digest if kind == "decision" else None
    found = []
    for row in rows:
        try:
            found.append(fast(row) if fast else content_digest(kind, as_bytes(row[-1]), row[1:-1]))
        except (TypeError, AttributeError):
            found.append(_odd_digest(kind, row))
    return found


def _decision_digest(row: Any) -> bytes:
    """`content_digest` of a decision whose columns have the types that they should."""
    values = list(row)
    salt = values.pop()
    values[0] = "decision"
    for position in (_HARM, _P, _SCORES, _PAYLOAD, _REASONS):
        values[position] = values[position].hex()
    return sha256(CONTENT + salt + orjson.dumps(values)).digest()


def _odd_digest(kind: str, row: Any) -> bytes:
    try:
        return content_digest(kind, as_bytes(row[-1]), row[1:-1])
    except TypeError:
        return b""  # a value of a type that nobody recorded: it equals no digest


def _check_inputs(window: Window, findings: Findings) -> None:
    inputs = {row[0]: row for row in window.inputs}
    pictures: dict[int, list[Any]] = {}
    for row in window.images:
        pictures.setdefault(row[0], []).append(row)
    decided = window.contents["decision"]
    findings.decisions = len(decided)
    for row in decided:
        seq = row[0]
        stored = inputs.pop(seq, None)
        if stored is None:
            findings.found(
                "removed", f"input of decision {seq}", "the decision has none, not even an erased one"
            )
            continue
        problem = _input_problem(row, stored)
        if problem:
            findings.found(problem, f"input of decision {seq}", "it is not what was recorded")
        if stored[5] is not None:
            findings.erased[stored[5]] += 1
        if row[_IMAGES] != "[]" or seq in pictures:
            _check_pictures(row, stored, pictures.pop(seq, []), findings)
    for seq in inputs:
        findings.found("unrecorded", f"input {seq}", "it belongs to no decision")
    for seq in pictures:
        findings.found("unrecorded", f"photos {seq}", "they belong to no decision")


def _check_pictures(row: Any, stored: Any, pictures: list[Any], findings: Findings) -> None:
    salt, erased = stored[4], stored[5] is not None
    digests = [as_bytes(picture[3]).hex() for picture in pictures]
    right = canonical_row(digests).decode() == row[_IMAGES]
    for picture in pictures:
        content = picture[4]
        if content is None:
            right = right and erased
        else:
            digest = salted(PAYLOAD, as_bytes(salt), as_bytes(content))
            right = right and not erased and digest == as_bytes(picture[3])
    if not right:
        findings.found("altered", f"photos of decision {row[0]}", "they are not what was recorded")


def _note(window: Window, seq: int) -> dict[str, Any]:
    return next((orjson.loads(row[1]) for row in window.contents["note"] if row[0] == seq), {})


def _input_problem(row: Any, stored: Any) -> str:
    """Kind of problem with a decision's input, empty for none."""
    _, received, payload, reasons, salt, erased_by = stored
    if received != row[_RECEIVED]:
        return "altered"
    if erased_by is not None:
        return "" if payload is None and reasons is None and salt is None else "altered"
    if payload is None or reasons is None or salt is None:
        return "erased"
    try:
        right = (
            sha256(PAYLOAD + salt + payload.encode()).digest() == row[_PAYLOAD]
            and sha256(REASONS + salt + reasons.encode()).digest() == row[_REASONS]
        )
    except (TypeError, ValueError, AttributeError):  # a value of another type, text that is not UTF-8
        right = False
    return "" if right else "altered"
