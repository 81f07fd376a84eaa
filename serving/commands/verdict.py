"""What the gate says of a bundle before it may serve: compared, shown, and kept for the record."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.commands.options import console

if TYPE_CHECKING:
    from serving.models.promotion import Kept
    from training.gate import Verdict


def compare(
    store: Any,
    kept: Kept,
    data: Path,
    config_file: Path | None,
    against: Path | None,
    after: date | None,
    history: Path | None,
    rules: Path | None,
) -> Verdict:
    """Judge a kept bundle by the gate's rules against a bundle's folder, where none is named against what serves."""
    from serving.models.promotion import champion_of
    from serving.settings import STARTER
    from training.config import load_config
    from training.gate import judge, load_rules
    from training.gate_evidence import collect
    from training.gate_history import compare_off_policy

    chosen = load_rules(rules)
    champion = champion_of(store)
    serves = STARTER if champion is None else Path(str(champion.body["path"]))
    old = against or serves
    with console().status("comparing on later results"):
        off = (
            [
                compare_off_policy(old, kept.folder, history, rule.budget)
                for rule in chosen.rules
                if rule.kind == "off_policy"
            ]
            if history is not None
            else []
        )
        evidence = collect(
            old,
            kept.folder,
            data,
            after=after,
            config=None if config_file is None else load_config(config_file),
            off_policy=off,
        )
    return judge(evidence, chosen)


def show_verdict(verdict: Verdict, file: Path | None) -> None:
    """Show what each rule says, and write the whole verdict to a file where one is named."""
    from rich.markup import escape
    from rich.table import Table

    evidence = verdict.evidence
    table = Table(
        "rule",
        "says",
        "why",
        title=f"{evidence.challenger} against {evidence.champion}",
        title_justify="left",
    )
    colours = {"passed": "green", "failed": "red", "no_evidence": "dim"}
    for one in verdict.outcomes:
        colour, said = colours[one.status], one.status.replace("_", " ")
        table.add_row(escape(one.rule), f"[{colour}]{said}[/]", escape("\n".join(one.reasons[:4])))
    screen = console()
    screen.print(table)
    for caveat in evidence.caveats:
        screen.print(f"[yellow]caveat[/] {escape(caveat)}", highlight=False)
    if file is not None:
        file.write_text(json.dumps(verdict.to_json(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def summary(verdict: Verdict) -> dict[str, Any]:
    """Return what the record keeps of a verdict: outcomes and what they were measured on, without every slice."""
    values = verdict.to_json()
    evidence = values.pop("evidence")
    kept = ("champion", "challenger", "after", "until", "results", "positives", "data", "caveats")
    outcomes = [dict(one) | {"reasons": list(one["reasons"])[:20]} for one in values["outcomes"]]
    return values | {"outcomes": outcomes, "evidence": {name: evidence[name] for name in kept}}
