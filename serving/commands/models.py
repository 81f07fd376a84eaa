"""Commands that decide which bundle serves: promote, roll back, look at the history, run a challenger in shadow."""

from __future__ import annotations

import json
import os
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from serving.commands.options import FILE, actor_option, clear, console, show, store_option, who
from serving.commands.verdict import compare, show_verdict, summary

if TYPE_CHECKING:
    from serving.models.promotion import Kept
    from serving.store.model_history import ModelEvent

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_PATH = click.Path(path_type=Path)
REFUSED = 1
"""Exit code where the gate refuses."""
TWO_PERSONS = "LISTING_RISK_TWO_PERSONS"


def _say(text: str) -> None:
    console().print(text, highlight=False, markup=False, soft_wrap=True)


def _folder_of(bundle: str) -> Path:
    """Return the folder of a bundle given as a path or as a registry address."""
    if not bundle.startswith("models:/"):
        return Path(bundle)
    from training.registry_path import resolve

    return resolve(bundle)


def _kept(store: str, bundle: str) -> Kept:
    from serving.keeping import beside_store
    from serving.models.promotion import keep
    from serving.supply.settings import read_supply
    from serving.supply.signatures import check_trust

    folder = _folder_of(bundle)
    check_trust(folder, read_supply(os.environ).trusted_keys)  # the service would refuse it; say so now
    return keep(folder, beside_store(store, "bundles", os.environ))


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.date()


@click.command("promote")
@click.argument("bundle", required=False)
@store_option
@actor_option
@click.option(
    "--data", type=_FOLDER, envvar="LISTING_RISK_DATA", help="Folder of past results to compare on."
)
@click.option("--config", "config_file", type=FILE, help="Which files of it. [default: the bundle's own]")
@click.option("--against", metavar="PATH_OR_URI", help="Champion to compare with. [default: what serves]")
@click.option("--after", type=click.DateTime(["%Y-%m-%d"]), help="Only results later than this.")
@click.option("--history", type=FILE, help="Goods with known probabilities of having been tested.")
@click.option("--rules", type=FILE, help="Rules of the gate. [default: gate.yaml of the package]")
@click.option("--verdict", "verdict_file", type=_PATH, help="Also write the verdict here, as JSON.")
@click.option("--dry-run", is_flag=True, help="Only compare and say the verdict.")
@click.option(
    "--without-gate", metavar="REASON", help="Pass the gate over, for the reason given; it is recorded."
)
@click.option(
    "--two-persons",
    is_flag=True,
    help="Propose only; somebody else agrees. [env: LISTING_RISK_TWO_PERSONS=1]",
)
@click.option("--agree", metavar="VERSION", help="Agree to what another person proposed.")
@click.option("--withdraw", metavar="VERSION", help="Take a proposal back.")
@clear
def promote(
    bundle: str | None,
    store: str,
    actor: str | None,
    data: Path | None,
    config_file: Path | None,
    against: str | None,
    after: datetime | None,
    history: Path | None,
    rules: Path | None,
    verdict_file: Path | None,
    dry_run: bool,
    without_gate: str | None,
    two_persons: bool,
    agree: str | None,
    withdraw: str | None,
) -> None:
    """Compare a bundle with what serves and, where the gate lets it, put it in its place.

    A running service takes it within seconds. Exit code 1 when the gate refuses.

    \b
    Examples:
      listing-risk promote bundle --data .
      listing-risk promote models:/mine@challenger --data past/ --dry-run --verdict verdict.json
      listing-risk promote bundle --data . --two-persons
      listing-risk promote --agree mine+1a2b3c4d --actor second.person
    """
    from serving.models import promotion
    from serving.store import Store

    if agree or withdraw:
        with Store(store) as opened:
            act = promotion.agree if agree else promotion.withdraw
            _say(_told(act(opened, agree or withdraw or "", who(actor))))
        return
    if bundle is None:
        raise click.UsageError("name a bundle, or --agree or --withdraw with a version")
    if data is None and without_gate is None:
        raise click.UsageError("name --data to compare on, or --without-gate with a reason")
    kept = _kept(store, bundle)
    with Store(store) as opened:
        _check(kept)
        verdict = None
        if data is not None:
            old = None if against is None else _folder_of(against)
            verdict = compare(opened, kept, data, config_file, old, _day(after), history, rules)
            show_verdict(verdict, verdict_file)
        if dry_run or (verdict is not None and not verdict.passed):
            click.get_current_context().exit(REFUSED if verdict is not None and not verdict.passed else 0)
        done = promotion.promote(
            opened,
            kept,
            who(actor),
            verdict=None if verdict is None else summary(verdict),
            address=bundle if bundle.startswith("models:/") else "",
            two_persons=two_persons or os.environ.get(TWO_PERSONS, "") not in ("", "0"),
            why=without_gate or "",
        )
    _move_alias(bundle, done.status == promotion.CHAMPION)
    _say(_told(done))


def _check(kept: Kept) -> None:
    """Load the bundle and try it as the service would before it takes it."""
    from serving.models.candidate import load_candidate
    from serving.settings import read_settings

    load_candidate(kept.folder, read_settings(os.environ), kept.version)


def _move_alias(bundle: str, serves: bool) -> None:
    """Let the registry's alias follow, where the bundle came from there."""
    if bundle.startswith("models:/") and serves:
        from training.registry import CHAMPION, set_alias

        set_alias(bundle, CHAMPION)


def _told(done: ModelEvent) -> str:
    from serving.models.promotion import CHAMPION, PROPOSED

    if done.status == CHAMPION:
        before = done.body.get("previous") or "the starter bundle"
        return f"{done.version} serves now ({done.body.get('reason', '')}), before it {before}"
    if done.status == PROPOSED:
        return (
            f"{done.version} is proposed by {done.actor}; a second person agrees with: "
            f"listing-risk promote --agree {done.version}"
        )
    return f"{done.version}: {done.status}"


@click.command("rollback")
@store_option
@actor_option
@click.option("--to", default="", metavar="VERSION", help="Go back to this one. [default: the one before]")
@click.option("--why", required=True, help="For the record.")
@clear
def rollback(store: str, actor: str | None, to: str, why: str) -> None:
    """Let the bundle before, or an earlier one, serve again.

    \b
    Examples:
      listing-risk rollback --why "blocks wooden toys"
      listing-risk rollback --to mine+1a2b3c4d --why "as agreed on 12 May"
    """
    from serving.models.promotion import roll_back
    from serving.store import Store

    with Store(store) as opened:
        _say(_told(roll_back(opened, who(actor), why, to)))


@click.command("history")
@store_option
@click.option("--served", is_flag=True, help="Only what decided from when to when.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON, verdicts included.")
@clear
def history(store: str, served: bool, as_json: bool) -> None:
    """Show every promotion, rollback, proposal, refusal and shadow, and what decided from when to when.

    \b
    Examples:
      listing-risk history
      listing-risk history --served --json
    """
    from dataclasses import asdict

    from rich.table import Table

    from serving.models.promotion import events_of, spells
    from serving.store import Store

    with Store(store) as opened:
        found, deciding = events_of(opened), spells(opened)
    if as_json:
        values = [asdict(one) for one in (deciding if served else found)]
        show(json.loads(json.dumps(values, default=str)))
        return
    screen = console()
    if not served:
        table = Table("when (UTC)", "version", "what", "who", "why", title_justify="left")
        for one in found:
            why = str(one.body.get("why") or one.body.get("reason") or "")
            table.add_row(f"{one.at:%Y-%m-%d %H:%M:%S}", one.version, one.status, one.actor, why[:120])
        screen.print(table)
    table = Table("decided by", "since (UTC)", "until", title_justify="left")
    for spell in deciding:
        until = "now" if spell.until is None else f"{spell.until:%Y-%m-%d %H:%M:%S}"
        table.add_row(spell.version, f"{spell.since:%Y-%m-%d %H:%M:%S}", until)
    screen.print(table)


@click.group("shadow")
def shadow() -> None:
    """Let a challenger score beside what serves, record what it says, and compare; it decides nothing."""


@shadow.command("start")
@click.argument("bundle")
@store_option
@actor_option
@clear
def shadow_start(bundle: str, store: str, actor: str | None) -> None:
    """Start a challenger in shadow; a running service takes it within seconds.

    \b
    Example:
      listing-risk shadow start bundle
    """
    from serving.models.promotion import start_shadow
    from serving.store import Store

    kept = _kept(store, bundle)
    _check(kept)
    with Store(store) as opened:
        done = start_shadow(opened, kept, who(actor))
    _say(f"{done.version} scores in shadow")


@shadow.command("stop")
@store_option
@actor_option
@clear
def shadow_stop(store: str, actor: str | None) -> None:
    """End the shadow; what it said is kept.

    \b
    Example:
      listing-risk shadow stop
    """
    from serving.models.promotion import stop_shadow
    from serving.store import Store

    with Store(store) as opened:
        _say(f"{stop_shadow(opened, who(actor)).version} no longer scores in shadow")


@shadow.command("report")
@click.argument("version", required=False)
@store_option
@clear
def shadow_report(version: str | None, store: str) -> None:
    """Compare what a challenger said with what was decided, as JSON.

    \b
    Examples:
      listing-risk shadow report
      listing-risk shadow report mine+1a2b3c4d
    """
    from serving.models.challenger import compare_shadow
    from serving.models.promotion import PromotionError, shadow_of
    from serving.store import Store

    with Store(store) as opened:
        running = shadow_of(opened)
        chosen = version or (running.version if running else "")
        if not chosen:
            raise PromotionError("No challenger is in shadow; name a version.")
        show(compare_shadow(opened, chosen).to_json())


COMMANDS: tuple[click.Command, ...] = (promote, rollback, history, shadow)
"""What `serving.cli` adds."""
