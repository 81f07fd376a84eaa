"""Bundle and policy in force: noted in the store when they are loaded, found again for a replay."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from features.errors import UserError
from serving.policy.document import DEFAULT_POLICY, PolicyDocument, load_policy, parse_policy
from serving.settings import STARTER, Settings
from serving.store import ModelRecord, PolicyRecord, Store
from serving.store.engine import reading
from serving.store.versions import Kind, VersionRow, read_last_version, read_versions

if TYPE_CHECKING:
    from serving.judging import Checks, Scorer
    from serving.predictor import Predictor
    from serving.store import StoredDecision

LOADED = "loaded"
"""Status of a version that the service decides with from then on."""


class VersionError(UserError):
    """A bundle or policy of an earlier day that is not where it was."""


def note_loaded(store: Store, predictor: Predictor, settings: Settings) -> None:
    """Record which bundle and policy decide from now on, where that is not what was recorded last.

    Raises
    ------
    StoreError
    """
    bundle, policy = settings.bundle or STARTER, settings.policy or DEFAULT_POLICY
    if _last(store, "models") != predictor.model_version:
        path = {"path": str(bundle.resolve())}
        store.change(ModelRecord(predictor.model_version, LOADED, "system", path), timeout_s=30)
    if _last(store, "policies") != predictor.policy.version:
        # The text of one that was promoted stands in the store already.
        from_file = load_policy(policy).version == predictor.policy.version
        text = {"text": policy.read_text("utf-8")} if from_file else {}
        store.change(PolicyRecord(predictor.policy.version, LOADED, "system", text), timeout_s=30)


def _last(store: Store, kind: Kind) -> str:
    with reading(store.engine) as connection:
        row = read_last_version(connection, kind, LOADED)
    return row.version if row else ""


def policy_of(store: Store, version: str, given: Sequence[Path] = ()) -> PolicyDocument:
    """Find the policy of a version: in the store, among the given files, or the package's own.

    Raises
    ------
    VersionError
        When it is in none of them.
    """
    for row in _rows(store, "policies", version):
        document = parse_policy(str(row.body["text"]), version) if "text" in row.body else None
        if document and document.version == version:
            return document
    for path in (*given, DEFAULT_POLICY):
        document = load_policy(path)
        if document.version == version:
            return document
    raise VersionError(f"got no policy {version}: name the file of that day with --policy")


def bundle_of(store: Store, version: str, given: Iterable[Path] = ()) -> Scorer:
    """Find and load the bundle of a version: among the given folders, where it was loaded from, or the starter bundle.

    Raises
    ------
    VersionError
        When it is in none of them.
    """
    from training.bundle import Bundle
    from training.manifest import BundleError, read_manifest

    noted = [Path(str(row.body["path"])) for row in _rows(store, "models", version) if "path" in row.body]
    for folder in (*given, *noted, STARTER):
        try:
            manifest = read_manifest(folder)
        except (BundleError, OSError):
            continue
        if f"{manifest.name}+{manifest.digest[:8]}" == version:
            return Bundle.load(folder)
    raise VersionError(f"got no bundle {version}: name the folder that holds it with --bundle")


def _rows(store: Store, kind: Kind, version: str) -> tuple[VersionRow, ...]:
    with reading(store.engine) as connection:
        return read_versions(connection, kind, version)


def checks_as_recorded(stored: StoredDecision, usual: Checks) -> Checks:
    """Give the match look-up as it came out that day; what is banned has changed since, the decision has not."""
    from features.schema import Listing
    from serving.decisions import PhotoNote, PhotosSeen
    from serving.judging import Compared
    from serving.policy.evaluation import MatchFact

    shown = ("tier", "ban_id", "p")
    facts = tuple(
        MatchFact(
            str(match["tier"]),
            str(match["ban_id"]),
            float(match["p"]),
            {name: value for name, value in match.items() if name not in shown},
        )
        for match in stored.body.get("matches", ())
    )

    seen = stored.body.get("photos")
    notes = tuple(PhotoNote(**note) for note in seen["notes"]) if seen else ()
    found = Compared(facts, PhotosSeen(seen["compared"], notes) if seen else None)

    def matches(listings: Sequence[Listing]) -> Sequence[Compared]:
        return [found] * len(listings)

    return replace(usual, matches=matches)
