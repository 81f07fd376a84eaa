"""The statement of reasons that a seller gets, in Korean, English or Chinese. Pure; its texts are data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from features.errors import UserError
from features.limits import Limit
from features.taxonomy import Taxonomy, load_taxonomy
from serving.sellers.appeals import Appeal
from serving.sellers.book import SellerRules, SellerStanding
from serving.store.decisions import StoredDecision

TEXTS = Path(__file__).with_name("statements.yaml")
StatementLanguage = Literal["ko", "en", "zh"]
LANGUAGES: tuple[StatementLanguage, ...] = get_args(StatementLanguage)
_SHOWN_LIMITS = 6
_SIGNS = {"<=": "≤ ", "<": "< ", ">=": "≥ ", ">": "> "}


class StatementError(UserError):
    """A statement that cannot be written."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement: title, opening, and sections of heading and sentences."""

    decision_id: str
    language: StatementLanguage
    title: str
    intro: str
    sections: tuple[tuple[str, tuple[str, ...]], ...]

    def as_text(self) -> str:
        """Return it as plain text."""
        parts = [self.title, "", self.intro]
        for heading, sentences in self.sections:
            parts += ["", heading, *(f"  {sentence}" for sentence in sentences)]
        return "\n".join(parts) + "\n"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "decision_id": self.decision_id,
            "language": self.language,
            "title": self.title,
            "intro": self.intro,
            "sections": [{"heading": heading, "sentences": list(lines)} for heading, lines in self.sections],
            "text": self.as_text(),
        }


@cache
def _texts() -> Mapping[str, Any]:
    return yaml.safe_load(TEXTS.read_text("utf-8"))


def statement_language(name: str) -> StatementLanguage:
    """Return the language of that name.

    Raises
    ------
    StatementError
    """
    found: StatementLanguage | None = next((one for one in LANGUAGES if one == name), None)
    if found is None:
        raise StatementError(f"got language {name[:20]!r}, expected one of {', '.join(LANGUAGES)}")
    return found


def limits_of(decision: StoredDecision, hazards: Sequence[str], taxonomy: Taxonomy) -> tuple[Limit, ...]:
    """Return the legal limits that goods of the decision's group must meet for some hazards."""
    group, audience = str(decision.body.get("group") or ""), str(decision.body.get("audience") or "general")
    market = str((decision.listing or {}).get("market") or "KR")
    found: list[Limit] = []
    for hazard in hazards:
        try:
            found += taxonomy.limits(hazard, group, market, decision.decided_at.date(), audience)
        except (ValueError, KeyError, UserError):
            continue  # a hazard or group that the taxonomy of today does not know
    return tuple(found)


def hazards_of(decision: StoredDecision) -> tuple[str, ...]:
    """Return the hazards that rules fired on, else the one a person named, else the top one."""
    fired = dict.fromkeys(
        cause["hazard"]
        for rule in decision.body.get("rules", ())
        for cause in rule.get("causes", ())
        if cause.get("hazard")
    )
    said = decision.body.get("hazard") or decision.top_hazard
    return tuple(fired) or ((str(said),) if said else ())


def limit_value(limit: Limit) -> str:
    """Write what a limit asks for."""
    if limit.value is None:
        return limit.comparator.replace("_", " ")
    upper = f"–{limit.upper:g}" if limit.upper is not None else ""
    return f"{_SIGNS.get(limit.comparator, '')}{limit.value:g}{upper} {limit.unit}".strip()


def write_statement(
    decision: StoredDecision,
    language: StatementLanguage,
    rules: SellerRules,
    standing: SellerStanding | None = None,
    appeal: Appeal | None = None,
    taxonomy: Taxonomy | None = None,
) -> Statement:
    """Write the statement of reasons for a decision.

    Parameters
    ----------
    standing
        Where the seller stands; None leaves strikes out.
    appeal
        An appeal that was decided is told of at the end.
    """
    words = _Words(language, taxonomy or load_taxonomy())
    sections = [
        ("listing", words.listing(decision)),
        ("measure", words.measure(decision)),
        ("facts", words.facts(decision)),
        ("automated", words.automated(decision)),
        ("ground", words.ground(decision)),
        ("strikes", words.strikes(decision, standing)),
        ("redress", words.redress(decision, rules, appeal)),
    ]
    return Statement(
        decision.id,
        language,
        words("title"),
        words("intro"),
        tuple((words("heading", name), tuple(lines)) for name, lines in sections if lines),
    )


class _Words:
    """Sentences in one language."""

    def __init__(self, language: StatementLanguage, taxonomy: Taxonomy) -> None:
        self.language = language
        self.taxonomy = taxonomy

    def __call__(self, *path: str, **values: object) -> str:
        found: Any = _texts()
        for part in path:
            found = found[part]
        return found[self.language].format(**values)

    def hazard(self, code: str) -> str:
        try:
            return self.taxonomy.hazard(code).names.get(self.language, code)
        except (KeyError, ValueError, UserError):
            return code

    def listing(self, decision: StoredDecision) -> list[str]:
        title = (decision.listing or {}).get("title") or "—"
        where = f"{decision.marketplace} / " if decision.marketplace else ""
        return [str(title), f"{where}{decision.listing_id} (r{decision.revision})"]

    def measure(self, decision: StoredDecision) -> list[str]:
        lines = [self("measure", decision.action)]
        if decision.state == "held" and decision.held_until:
            lines.append(self("measure", "held", until=_day(decision.held_until)))
        market = (decision.listing or {}).get("market") or "KR"
        return [*lines, self("measure", "scope", market=market)]

    def facts(self, decision: StoredDecision) -> list[str]:
        body = decision.body
        lines = [
            self("fact", "rule", why=rule["why"].get(self.language) or rule["why"].get("en", ""))
            for rule in body.get("rules", ())
        ]
        if hazards := hazards_of(decision):
            lines.append(self("fact", "hazards", hazards=", ".join(map(self.hazard, hazards))))
        for match in body.get("matches", ()):
            said = "match" if match.get("tier") == "exact" else "resembles"
            lines.append(self("fact", said, ban=match["ban_id"]))
            if notice := match.get("notice"):
                lines.append(
                    self(
                        "fact", "notice", authority=notice["regulator"] or "—", number=notice["number"] or "—"
                    )
                )
        if body.get("notice_id"):
            number = body.get("number") or body["notice_id"]
            lines.append(self("fact", "notice", authority=body.get("authority") or "—", number=number))
        if decision.actor != "system":
            lines.append(self("fact", "person"))
        return [line for line in dict.fromkeys(lines) if line]

    def automated(self, decision: StoredDecision) -> list[str]:
        found = self("automated", "found", model=decision.model_version, policy=decision.policy_version)
        return [found, self("automated", "decided" if decision.actor == "system" else "person")]

    def ground(self, decision: StoredDecision) -> list[str]:
        limits = limits_of(decision, hazards_of(decision), self.taxonomy)[:_SHOWN_LIMITS]
        lines = []
        for limit in limits:
            name = (
                f"{self.hazard(limit.hazard)} ({limit.substance})"
                if limit.substance
                else self.hazard(limit.hazard)
            )
            line = self("ground", "limit", hazard=name, regulation=limit.regulation, value=limit_value(limit))
            lines.append(line + (" " + self("ground", "unverified") if limit.mark == "unverified" else ""))
        rules = ", ".join(rule["id"] for rule in decision.body.get("rules", ())) or "—"
        return [*lines, self("ground", "policy", policy=decision.policy_version, rules=rules)]

    def strikes(self, decision: StoredDecision, standing: SellerStanding | None) -> list[str]:
        if standing is None:
            return []
        mine = [s for s in standing.strikes if s.decision_id == decision.id and s.state == "given"]
        lines = [self("strikes", "given", points=s.points, until=_day(s.expires_at)) for s in mine]
        return [*lines, self("strikes", "total", points=standing.points)]

    def redress(self, decision: StoredDecision, rules: SellerRules, appeal: Appeal | None) -> list[str]:
        if appeal is not None and appeal.state != "open":
            return [self("appeal", appeal.state, note=appeal.note), self("redress", "court")]
        until = _day(decision.decided_at + timedelta(days=rules.appeal_days))
        how = self("redress", "how", decision=decision.id, until=until, days=rules.answer_days)
        return [how, self("redress", "court")]


def _day(at: datetime) -> str:
    return at.date().isoformat()
