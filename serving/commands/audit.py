"""Commands that prove what was decided, and erase what must not be kept longer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from serving.commands.options import FILE, actor_option, clear, show, store_option, who

if TYPE_CHECKING:
    from serving.audit.verification import AuditReport, Checkpoints, ReplayReport
    from serving.store import Store

NOT_INTACT = 1
_SHOWN = 20

_checkpoints = click.option(
    "--checkpoints",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="LISTING_RISK_CHECKPOINTS",
    help="Folder of signed checkpoints. [env: LISTING_RISK_CHECKPOINTS] [default: beside the SQLite file, for "
    "PostgreSQL in the state folder]",
)


def _folder(store: str, given: Path | None) -> Checkpoints:
    import os

    from serving.audit.verification import Checkpoints
    from serving.keeping import checkpoint_folder

    return Checkpoints(given or checkpoint_folder(store, os.environ))


@contextmanager
def _recorded(address: str) -> Iterator[Store]:
    """Open a store for reading only; one without tables is not the one that was meant.

    Raises
    ------
    StoreError
    """
    from serving.store import SchemaError, Store
    from serving.store.engine import store_url

    nothing = SchemaError(
        "got a store in which nothing was ever recorded, expected the one to look at: name it with --store"
    )
    url = store_url(address)
    # Looking must not leave an empty file behind.
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).is_file():
        raise nothing
    store = Store(address)
    try:
        if not store.is_made():
            raise nothing
        yield store
    finally:
        store.close()


@click.group("audit")
def audit() -> None:
    """Prove that nothing recorded was altered, removed or reordered, and recompute what was decided."""


@audit.command("verify")
@store_option
@_checkpoints
@click.option("--public-key", metavar="HEX", help="Key that must have signed. [default: the folder's own]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes. [default: one a core]")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@clear
def verify(
    store: str, checkpoints: Path | None, public_key: str | None, workers: int | None, as_json: bool
) -> None:
    """Check every row against the chain, and the chain against the signed checkpoints.

    Exit code 0 when everything holds, 1 when something does not.

    \b
    Examples:
      listing-risk audit verify
      listing-risk audit verify --store postgresql://risk@db.example/risk --checkpoints /mnt/worm/checkpoints
      listing-risk audit verify --public-key 3b6a... --json
    """
    import os

    from rich.console import Console

    from serving.audit.verification import verify as run

    console = Console(stderr=True)
    with _recorded(store) as opened:
        # From some hundred thousand rows on more processes are worth their start.
        many = workers or (len(os.sched_getaffinity(0)) if opened.head().seq > 200_000 else 1)
        with console.status("verifying"):
            report = run(opened, _folder(store, checkpoints), _key(public_key), workers=many)
    if as_json:
        show(asdict(report) | {"intact": report.intact})
    else:
        _tell(report)
    if not report.intact:
        sys.exit(NOT_INTACT)


def _key(text: str | None) -> bytes | None:
    if text is None:
        return None
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != 32:
        raise click.BadParameter("expected 64 hexadecimal digits", param_hint="--public-key")
    return key


def _tell(report: AuditReport) -> None:
    verdict = "everything holds" if report.intact else f"{report.n_problems:,} problems"
    click.echo(
        f"{verdict}: {report.rows:,} rows in {report.links:,} links, {report.decisions:,} decisions, "
        f"{report.erased:,} with erased text"
    )
    click.echo(
        f"proven by {report.checkpoints:,} signed checkpoints: {report.proven_rows:,} rows; "
        f"{report.unproven_rows:,} rows after the last one form an unbroken chain and are not proven"
    )
    if report.clock_steps_back:
        click.echo(
            f"the clock stepped back {report.clock_steps_back:,} times; the order does not depend on it"
        )
    for problem in report.problems[:_SHOWN]:
        click.echo(f"  {problem.kind}: {problem.where}: {problem.detail}")
    if report.n_problems > _SHOWN:
        click.echo(f"  and {report.n_problems - _SHOWN:,} more: --json has the first thousand")


@audit.command("replay")
@click.argument("decision_id")
@store_option
@click.option(
    "--bundle",
    "bundles",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the bundle of that day may be. [default: where it was loaded from]",
)
@click.option(
    "--policy", "policies", multiple=True, type=FILE, help="The policy of that day. [default: as recorded]"
)
@click.option("--register", type=FILE, help="File of KC certificates as imported that day.")
@click.option("--json", "as_json", is_flag=True, help="Print every field as JSON.")
@clear
def replay(
    decision_id: str,
    store: str,
    bundles: tuple[Path, ...],
    policies: tuple[Path, ...],
    register: Path | None,
    as_json: bool,
) -> None:
    """Recompute a decision from its stored input with the bundle and policy of that day.

    Matches with banned items are taken as they were found then: what is banned has changed since. Exit code 0 when
    every field comes out the same, 1 when one does not or the input was erased.

    \b
    Examples:
      listing-risk audit replay 0199f2d4-7c1e-7a55-9d60-6b1f1f6f2a11
      listing-risk audit replay 0199f2d4-7c1e-7a55-9d60-6b1f1f6f2a11 --bundle ./bundle-june
    """
    from features.certification import Register
    from serving.audit.verification import replay as run
    from serving.judging import Checks
    from serving.models.in_force import bundle_of, checks_as_recorded, policy_of
    from serving.policy.certificates import KcCheck

    with _recorded(store) as opened:
        usual = Checks(KcCheck(None if register is None else Register.read(register)))
        checks = checks_as_recorded(opened.decision(decision_id), usual)
        report = run(
            opened,
            decision_id,
            lambda version: bundle_of(opened, version, bundles),
            lambda version: policy_of(opened, version, policies),
            checks,
        )
    if as_json:
        show(_plain(report))
    else:
        _compare(report)
    if not report.equal:
        sys.exit(NOT_INTACT)


def _plain(report: ReplayReport) -> dict[str, Any]:
    when = report.erased_at.isoformat() if report.erased_at else None
    said = asdict(replace(report, erased_at=None))
    return said | {"decided_at": report.decided_at.isoformat(), "erased_at": when}


def _compare(report: ReplayReport) -> None:
    click.echo(f"{report.decision_id} of {report.decided_at.isoformat(timespec='seconds')}")
    click.echo(f"model {report.model_version}, policy {report.policy_version}")
    if report.problem:
        click.echo(f"not recomputed: {report.problem}")
        return
    different = [field for field in report.fields if not field.equal]
    if not different:
        click.echo(f"equal: all {len(report.fields)} fields come out as they were recorded")
    for field in different:
        click.echo(f"  {field.field}: recorded {field.stored!r}, now {field.recomputed!r}")


@audit.command("checkpoint")
@store_option
@_checkpoints
@clear
def checkpoint(store: str, checkpoints: Path | None) -> None:
    """Sign where the chain ends now; the service does so every minute by itself.

    \b
    Examples:
      listing-risk audit checkpoint
      listing-risk audit checkpoint --checkpoints /mnt/worm/checkpoints
    """
    from serving.audit.verification import checkpoint as sign
    from serving.store.writer import wall_clock

    folder = _folder(store, checkpoints)
    with _recorded(store) as opened:
        signed = sign(opened, folder, wall_clock())
    click.echo(f"{'signed' if signed else 'nothing was added since the last one'}: {folder.folder}")


@audit.command("keys")
@store_option
@_checkpoints
@clear
def keys(store: str, checkpoints: Path | None) -> None:
    """Show the public key that checkpoints are signed with, to be given to whoever verifies.

    \b
    Examples:
      listing-risk audit keys
    """
    folder = _folder(store, checkpoints)
    click.echo(f"public key   {folder.public_key().hex()}")
    click.echo(f"private key  {folder.key_file}")
    click.echo(f"checkpoints  {folder.folder} ({len(folder.paths())})")


@click.group("retention")
def retention() -> None:
    """Erase what sellers wrote, and photos, after their time; the chain still verifies."""


@retention.command("erase")
@click.option(
    "--keep-days",
    type=click.FloatRange(min=0),
    envvar="LISTING_RISK_RETENTION_DAYS",
    required=True,
    help="Text and photos received longer ago than this go. [env: LISTING_RISK_RETENTION_DAYS]",
)
@store_option
@actor_option
@clear
def erase(keep_days: float, store: str, actor: str | None) -> None:
    """Erase listing text, reasons and photos of old decisions; actions, scores, times and who decided stay.

    With LISTING_RISK_RETENTION_DAYS set the service does so every hour by itself.

    \b
    Examples:
      listing-risk retention erase --keep-days 365
    """
    from datetime import UTC, datetime, timedelta

    from serving.store import Store
    from serving.store.retention import erase_expired

    with Store(store) as opened:
        done = erase_expired(opened, datetime.now(UTC), timedelta(days=keep_days), who(actor))
    click.echo(
        f"{done.inputs:,} decisions' text and photos from before {done.cutoff:%Y-%m-%d %H:%M} UTC erased"
    )
