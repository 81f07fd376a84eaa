"""Which bundle serves: promoted, rolled back, proposed to a second person, in shadow; every step an audited row.

The last row with status `CHAMPION` says what serves. A running service follows it (`serving.models.swap`); one that
starts without a bundle named loads it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from features.errors import UserError
from serving.events.kinds import event
from serving.settings import STARTER
from serving.store import ModelRecord, OutboxEvent, Store
from serving.store.engine import reading
from serving.store.model_history import ModelEvent, read_model_events
from serving.store.records import Row
from serving.supply.signatures import SIGNATURES
from training.manifest import MANIFEST, read_manifest

CHAMPION = "champion"
PROPOSED = "proposed"
WITHDRAWN = "withdrawn"
REFUSED = "refused"
SHADOW = "shadow"
SHADOW_ENDED = "shadow ended"
LOADED = "loaded"


_BESIDE = (MANIFEST, SIGNATURES)


class PromotionError(UserError):
    """A promotion, agreement or rollback that cannot be done; says why and what to do."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row about a model and the event that tells others of it."""

    record: ModelRecord
    events: tuple[OutboxEvent, ...]

    @property
    def actor(self) -> str:
        """Who did it."""
        return self.record.actor

    @property
    def body(self) -> Mapping[str, Any]:
        """JSON values that are kept with it."""
        return self.record.body

    def place(self) -> tuple[str, str, Row]:
        """Table, subject and columns."""
        return self.record.place()


@dataclass(frozen=True, slots=True)
class Kept:
    """A bundle on the shelf, where nobody changes it."""

    version: str
    folder: Path


@dataclass(frozen=True, slots=True)
class Spell:
    """From when to when a bundle decided; ``until`` None while it does."""

    version: str
    since: datetime
    until: datetime | None


def keep(folder: Path, shelf: Path) -> Kept:
    """Copy a bundle to the shelf, where later training into the same folder does not touch it.

    Raises
    ------
    BundleError
        When it is no whole bundle.
    """
    manifest = read_manifest(folder)
    version = f"{manifest.name}+{manifest.digest[:8]}"
    target = shelf / f"{manifest.name}-{manifest.digest[:16]}"
    if not target.is_dir():
        shelf.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=shelf) as place:
            copy = Path(place) / "bundle"
            shutil.copytree(folder, copy, ignore=lambda _, names: set(names) - {*manifest.files, *_BESIDE})
            copy.rename(target)
    elif (folder / SIGNATURES).is_file() and folder.resolve() != target.resolve():
        # The same bundle, signed since, or by another key.
        shutil.copyfile(folder / SIGNATURES, target / SIGNATURES)
    read_manifest(target)
    return Kept(version, target)


def events_of(store: Store, *statuses: str, most: int = 200) -> tuple[ModelEvent, ...]:
    """Read rows about models, newest first."""
    with reading(store.engine) as connection:
        return read_model_events(connection, statuses, most)


def champion_of(store: Store) -> ModelEvent | None:
    """Return the row that says what serves; None where nothing was ever promoted."""
    return next(iter(events_of(store, CHAMPION, most=1)), None)


def shadow_of(store: Store) -> ModelEvent | None:
    """Return the challenger in shadow; None where there is none."""
    last = next(iter(events_of(store, SHADOW, SHADOW_ENDED, most=1)), None)
    return last if last is not None and last.status == SHADOW else None


def proposal_of(store: Store, version: str) -> ModelEvent | None:
    """Return the open proposal of a version; None where it was agreed to, withdrawn or never made."""
    rows = [e for e in events_of(store, PROPOSED, WITHDRAWN, CHAMPION) if e.version == version]
    return rows[0] if rows and rows[0].status == PROPOSED else None


def promote(
    store: Store,
    kept: Kept,
    actor: str,
    *,
    verdict: Mapping[str, Any] | None,
    address: str = "",
    two_persons: bool = False,
    why: str = "",
) -> ModelEvent:
    """Make a bundle the champion, or propose it to a second person.

    Parameters
    ----------
    verdict
        The gate's, as JSON values; None where the gate was passed over (``why`` says the reason).
    address
        ``models:/name/version`` where it came from the registry.
    two_persons
        Somebody else must agree before it serves.

    Raises
    ------
    PromotionError
        When it serves already, or the gate refused it.
    """
    current = champion_of(store)
    if current is not None and current.version == kept.version:
        raise PromotionError(f"{kept.version} serves already, since {current.at:%Y-%m-%d %H:%M} UTC.")
    if verdict is not None and not verdict["passed"]:
        raise PromotionError(f"The gate refuses {kept.version}: {'; '.join(verdict['reasons'])}.")
    if verdict is None and not why.strip():
        raise PromotionError(
            "Got a promotion without the gate and without a reason; say why it is passed over."
        )
    body = {
        "path": str(kept.folder),
        "address": address,
        "previous": "" if current is None else current.version,
        "reason": "promoted",
        "why": why,
        "verdict": verdict,
    }
    status = PROPOSED if two_persons else CHAMPION
    return _write(store, kept.version, status, actor, body)


def agree(store: Store, version: str, actor: str) -> ModelEvent:
    """Agree to what another person proposed; it serves from then on.

    Raises
    ------
    PromotionError
        When nothing is proposed, or the same person proposed it.
    """
    proposal = proposal_of(store, version)
    if proposal is None:
        raise PromotionError(f"Got no open proposal of {version}; see `listing-risk history`.")
    if proposal.actor == actor:
        raise PromotionError(f"{actor} proposed {version}; a second person must agree to it.")
    current = champion_of(store)
    body = {
        **proposal.body,
        "previous": "" if current is None else current.version,
        "proposed_by": proposal.actor,
    }
    return _write(store, version, CHAMPION, actor, body)


def withdraw(store: Store, version: str, actor: str, why: str = "") -> ModelEvent:
    """Take a proposal back.

    Raises
    ------
    PromotionError
        When nothing is proposed.
    """
    if proposal_of(store, version) is None:
        raise PromotionError(f"Got no open proposal of {version}; see `listing-risk history`.")
    return _write(store, version, WITHDRAWN, actor, {"why": why})


def roll_back(store: Store, actor: str, why: str, to: str = "") -> ModelEvent:
    """Let an earlier champion serve again: the one before, or the one named.

    Raises
    ------
    PromotionError
        When there is none, or its bundle is no longer on the shelf.
    """
    champions = events_of(store, CHAMPION)
    if not champions:
        raise PromotionError("Nothing was ever promoted, so there is nothing to go back from.")
    current = champions[0]
    target = _earlier(store, champions, to)
    folder = Path(str(target.body.get("path", "")))
    if not folder.is_dir():
        raise PromotionError(
            f"The bundle {target.version} is no longer at {folder}; promote a copy of it instead."
        )
    body = {
        "path": str(folder),
        "address": target.body.get("address", ""),
        "previous": current.version,
        "reason": "rolled back",
        "why": why,
        "verdict": None,
    }
    return _write(store, target.version, CHAMPION, actor, body)


def _earlier(store: Store, champions: Sequence[ModelEvent], to: str) -> ModelEvent:
    """Find what to go back to: never what a rollback left, unless it is named; at last the starter bundle."""
    current = champions[0]
    candidates = [*champions[1:], *reversed(events_of(store, LOADED))]
    if to:
        found = next((e for e in candidates if e.version == to and e.version != current.version), None)
        if found is None:
            raise PromotionError(f"Got {to!r}, which never served before; see `listing-risk history`.")
        return found
    left = {str(e.body.get("previous")) for e in champions if e.body.get("reason") == "rolled back"}
    wanted = str(current.body.get("previous", ""))
    order = [e for e in candidates if e.version == wanted and wanted not in left]
    order += [e for e in candidates if e.version != current.version and e.version not in left]
    if order:
        return order[0]
    starter = read_manifest(STARTER)
    version = f"{starter.name}+{starter.digest[:8]}"
    if version == current.version:
        raise PromotionError(f"Nothing served before {current.version}; promote another bundle instead.")
    return ModelEvent(0, current.at, "", version, LOADED, {"path": str(STARTER)})


def start_shadow(store: Store, kept: Kept, actor: str) -> ModelEvent:
    """Have a challenger score beside what serves.

    Raises
    ------
    PromotionError
        When it is what serves.
    """
    current = champion_of(store)
    if current is not None and current.version == kept.version:
        raise PromotionError(f"{kept.version} is what serves; a shadow of itself would say nothing.")
    return _write(store, kept.version, SHADOW, actor, {"path": str(kept.folder)})


def stop_shadow(store: Store, actor: str) -> ModelEvent:
    """End the shadow.

    Raises
    ------
    PromotionError
        When there is none.
    """
    running = shadow_of(store)
    if running is None:
        raise PromotionError("No challenger is in shadow.")
    return _write(store, running.version, SHADOW_ENDED, actor, {})


def spells(store: Store) -> tuple[Spell, ...]:
    """Return what decided from when to when, newest first: from the rows that services wrote when they loaded it."""
    rows = events_of(store, LOADED, most=1000)
    found: list[Spell] = []
    until: datetime | None = None
    for row in rows:
        if found and found[-1].version == row.version:
            found[-1] = Spell(row.version, row.at, found[-1].until)
        else:
            found.append(Spell(row.version, row.at, until))
        until = row.at
    return tuple(found)


def _write(store: Store, version: str, status: str, actor: str, body: Mapping[str, Any]) -> ModelEvent:
    now = datetime.now(UTC)
    facts = {"version": version, "status": status, "actor": actor, "previous": body.get("previous", "")}
    told = (event("model.changed", version, facts, now),) if status == CHAMPION else ()
    recorded = store.change(Told(ModelRecord(version, status, actor, body), told), timeout_s=30)
    return ModelEvent(recorded.seq, now, actor, version, status, body)
