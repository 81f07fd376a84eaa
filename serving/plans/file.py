"""A plan as files and as a record: JSON for people and programs, Parquet for the estimator."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from features.schema import Listing
from serving.plans.candidates import ScoredCatalogue
from serving.plans.types import Plan, PlannedItem

if TYPE_CHECKING:
    import pyarrow as pa

FRAME = "frame.parquet"
LISTINGS = "listings.json"


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """What the loop must know of an item's goods besides the plan."""

    marketplace: str
    seller_id: str
    group: str
    audience: str
    market: str
    category: str


def facts_of(scored: ScoredCatalogue, wanted: Sequence[str]) -> dict[str, ItemFacts]:
    """Return the facts of some listings, by id."""
    rows = {listing.id: row for row, listing in enumerate(scored.listings)}
    found = {}
    for listing_id in dict.fromkeys(wanted):
        row = rows[listing_id]
        listing = scored.listings[row]
        found[listing_id] = ItemFacts(
            listing.marketplace or "",
            (listing.seller.id or "") if listing.seller else "",
            scored.candidates.groups[row],
            scored.audiences[row],
            listing.market,
            scored.candidates.categories[row],
        )
    return found


def plan_body(plan: Plan, plan_id: str, scored: ScoredCatalogue) -> dict[str, Any]:
    """Return the plan as JSON values, without any seller's words: what is recorded and audited."""
    facts = facts_of(scored, [item.listing_id for item in plan.items])
    outside: dict[str, int] = {}
    for _, reason in plan.outside:
        outside[reason] = outside.get(reason, 0) + 1
    return {
        "plan_id": plan_id,
        "period": plan.period,
        "made": plan.made.isoformat(),
        "seed": plan.seed,
        "model_version": scored.model_version,
        "config": plan.config.model_dump(mode="json"),
        "hazards": list(plan.hazards),
        "objective": plan.objective,
        "bound": _finite(plan.bound),
        "gap": plan.gap,
        "seconds": round(plan.seconds, 3),
        "listings": len(scored.listings),
        "off_sale": len(scored.left_out),
        "clusters": len(plan.frame),
        "outside": outside,
        "shortfalls": dict(plan.shortfalls),
        "unplaced": list(plan.unplaced),
        "items": [_item(item) | asdict(facts[item.listing_id]) for item in plan.items],
    }


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _item(item: PlannedItem) -> dict[str, Any]:
    raw = {name: getattr(item, name) for name in PlannedItem.__slots__}
    return raw | {"hazards": list(item.hazards), "tests": list(item.tests)}


def frame_bytes(plan: Plan) -> bytes:
    """Write the frame: one row a cluster, with its probability and what the model said of it before any result."""
    import pyarrow as pa  # at first use: 30 MB that a service that plans nothing does without
    from pyarrow import parquet

    rows = plan.frame
    width = len(plan.hazards)

    def matrix(name: str, kind: Any) -> pa.Array:
        stacked = np.array([getattr(row, name) for row in rows]).reshape(len(rows), width).astype(kind)
        flat = pa.array(stacked.ravel())
        return pa.FixedSizeListArray.from_arrays(flat, width)

    table = pa.table(
        {
            "cluster": pa.array([row.cluster for row in rows], pa.string()),
            "listing_id": pa.array([row.listing_id for row in rows], pa.string()),
            "category": pa.array([row.category for row in rows], pa.string()),
            "platform": pa.array([row.platform for row in rows], pa.string()),
            "propensity": pa.array([row.propensity for row in rows], pa.float64()),
            "stratum": pa.array([row.stratum for row in rows], pa.string()),
            "chosen": pa.array([row.chosen for row in rows], pa.bool_()),
            "covered": matrix("covered", bool),
            "p": matrix("p", np.float32),
            "harm": matrix("harm", np.float32),
        }
    ).replace_schema_metadata({"hazards": ",".join(plan.hazards)})
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def read_frame(content: bytes) -> tuple[pa.Table, tuple[str, ...]]:
    """Read a frame; returns the table and the hazards of its matrices."""
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(content))
    hazards = (table.schema.metadata or {}).get(b"hazards", b"").decode()
    return table, tuple(hazards.split(","))


def matrix_of(table: pa.Table, name: str) -> np.ndarray:
    """Return a matrix column of a frame, shape (n_clusters, n_hazards)."""
    column = table.column(name).combine_chunks()
    values = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(table), -1) if len(table) else values.reshape(0, column.type.list_size)


def harm_of_frame(content: bytes) -> dict[str, float]:
    """Return the expected harm of every cluster's listing, from a frame file."""
    table, _ = read_frame(content)
    harm = (matrix_of(table, "harm") * matrix_of(table, "covered")).sum(axis=1)
    return dict(zip(table.column("listing_id").to_pylist(), harm.tolist(), strict=True))


def listings_bytes(plan: Plan, listings: Mapping[str, Listing]) -> bytes:
    """Write the listings of the plan's items, as they stood: what a ban needs when one of them fails."""
    chosen = dict.fromkeys(item.listing_id for item in plan.items)
    return orjson.dumps([listings[one].model_dump(mode="json", exclude_defaults=True) for one in chosen])


def read_listings_bytes(content: bytes) -> dict[str, dict[str, Any]]:
    """Read what `listings_bytes` wrote, by listing id."""
    return {raw["id"]: raw for raw in orjson.loads(content)}
