"""Real listings, judged blind: choose and shuffle items for judges, then count their verdicts.

    python -m benchmarks.wild.run choose --data DIR --bundle BUNDLE --folder local/judging
    python -m benchmarks.wild.run count --folder local/judging --verdicts benchmarks/wild/verdicts.jsonl

See RUBRIC.md. What judges read holds listing text and stays in the folder, out of the repository; verdicts hold ids.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from sklearn.metrics import cohen_kappa_score

from benchmarks.results_file import Results, Row, code_commit, data_sha256, machine, now, write_results
from features.reader import ColumnMap, RejectedRow, read_listings
from features.schema import Listing

SOURCES = {
    "aliexpress_kr": "aliexpress_kr.jsonl.gz",
    "coupang_kr": "coupang_kr.csv.gz",
    "1688_zh": "1688_zh.csv.gz",
    "amazon_in": "amazon_in.csv.gz",
    "amazon_us_toys": "amazon_us_toys.csv.gz",
    "shein": "shein_1000.csv.gz",
}
EACH = 20
SEED = 20261122
POINTS = {"yes": 1.0, "partly": 0.5, "no": 0.0}


def _listings(data: Path, source: str) -> list[Listing]:
    """Return the listings of one source for the Korean market, each title once, without units sold."""
    rows = read_listings(data / "listings" / SOURCES[source], ColumnMap.named(source))
    found: dict[str, Listing] = {}
    for row in rows:
        if not isinstance(row, RejectedRow):
            found.setdefault(row.title, row.model_copy(update={"units_sold": None, "market": "KR"}))
    return list({listing.id: listing for listing in found.values()}.values())


def _scores(listings: list[Listing], bundle: str | None, folder: Path, source: str) -> dict[str, float]:
    """Score with the command that users run; listing id to expected harm."""
    given, output = folder / f"{source}.input.jsonl", folder / f"{source}.scores.parquet"
    with given.open("w", encoding="utf-8") as stream:
        for listing in listings:
            stream.write(listing.model_dump_json(exclude_defaults=True) + "\n")
    command = [sys.executable, "-m", "serving.cli", "batch", str(given), "--output", str(output)]
    subprocess.run(command + (["--bundle", bundle] if bundle else []), check=True)
    table = pq.read_table(output, columns=["listing_id", "expected_harm"]).to_pydict()
    return dict(zip(table["listing_id"], table["expected_harm"], strict=True))


def choose(data: Path, bundle: str | None, folder: Path) -> None:
    """Write what judges read, shuffled, and the key that they do not see."""
    folder.mkdir(parents=True, exist_ok=True)
    key: list[dict[str, Any]] = []
    for place, source in enumerate(SOURCES):
        rng = np.random.default_rng([SEED, place])
        listings = _listings(data, source)
        harm = _scores(listings, bundle, folder, source)
        ranked = sorted(listings, key=lambda listing: -harm[listing.id])
        rest = ranked[EACH:]
        random = [rest[i] for i in rng.choice(len(rest), EACH, replace=False)]
        shown = [(listing, True) for listing in ranked[:EACH]] + [(listing, False) for listing in random]
        with (folder / f"{source}.judge.jsonl").open("w", encoding="utf-8") as stream:
            for number, i in enumerate(rng.permutation(len(shown))):
                listing, chosen = shown[i]
                item = {
                    "item": f"{source}-{number:02d}",
                    "title": listing.title,
                    "category": listing.category,
                    "description": listing.description[:300],
                    "price": f"{listing.price} {listing.currency}" if listing.price is not None else None,
                }
                stream.write(json.dumps(item, ensure_ascii=False) + "\n")
                key.append(
                    {"item": item["item"], "source": source, "listing_id": listing.id, "chosen": chosen}
                )
    (folder / "key.json").write_text(json.dumps(key, indent=1), encoding="utf-8")


def join(folder: Path, verdicts: Path) -> None:
    """Put judges' files (``*.verdicts.<judge>.jsonl``) and the key together; ids and verdicts, no text."""
    key = {row["item"]: row for row in json.loads((folder / "key.json").read_text())}
    with verdicts.open("w", encoding="utf-8") as stream:
        for path in sorted(folder.glob("verdicts.*.jsonl")):
            judge = path.name.split(".")[1]
            for line in path.read_text(encoding="utf-8").splitlines():
                given = json.loads(line)
                row = key[given["item"]]
                stream.write(json.dumps(row | {"judge": judge, "verdict": given["verdict"]}) + "\n")


def _lift(chosen: np.ndarray, random: np.ndarray) -> float:
    # Half a point on both sides keeps the ratio finite where no random item counts.
    return float((chosen.sum() + 0.5) / (len(chosen) + 0.5) / ((random.sum() + 0.5) / (len(random) + 0.5)))


def count(verdicts: Path) -> None:
    """Count precision, lift and agreement from the committed verdicts."""
    rows = [json.loads(line) for line in verdicts.read_text(encoding="utf-8").splitlines()]
    rng = np.random.default_rng(SEED)
    result: list[Row] = []
    for source in [*SOURCES, "all"]:
        part = [row for row in rows if source in (row["source"], "all")]
        items: dict[str, list[float]] = {}
        chosen_items = {row["item"] for row in part if row["chosen"]}
        for row in part:
            items.setdefault(row["item"], []).append(POINTS[row["verdict"]])
        chosen = np.array([np.mean(v) for item, v in items.items() if item in chosen_items])
        random = np.array([np.mean(v) for item, v in items.items() if item not in chosen_items])
        draws = [(rng.choice(chosen, len(chosen)), rng.choice(random, len(random))) for _ in range(2000)]
        for system, values, index in (("ours", chosen, 0), ("random", random, 1)):
            low, high = np.quantile([draw[index].mean() for draw in draws], [0.025, 0.975])
            result.append(_row(system, f"precision_{source}", float(values.mean()), low, high, len(values)))
        low, high = np.quantile([_lift(*draw) for draw in draws], [0.025, 0.975])
        result.append(_row("ours", f"lift_{source}", _lift(chosen, random), low, high, len(chosen), "ratio"))
    result += _agreement(rows)
    write_results(
        Results(
            task="wild_listings",
            command="python -m benchmarks.wild.run count",
            commit=code_commit(),
            date=now(),
            machine=machine(),
            data_sha256=data_sha256(verdicts.parent, [verdicts.name]),
            rows=tuple(result),
        )
    )


def _row(system: str, metric: str, value: float, low: float, high: float, n: int, unit: str = "share") -> Row:
    return Row(system=system, metric=metric, value=value, low=float(low), high=float(high), n=n, unit=unit)


def _agreement(rows: list[dict[str, Any]]) -> list[Row]:
    by_judge: dict[str, dict[str, str]] = {}
    for row in rows:
        by_judge.setdefault(row["judge"], {})[row["item"]] = row["verdict"]
    first, second = (by_judge[name] for name in sorted(by_judge))
    items = sorted(first)
    equal = float(np.mean([first[item] == second[item] for item in items]))
    kappa = float(cohen_kappa_score([first[i] for i in items], [second[i] for i in items]))
    return [
        Row(
            system="judges", metric="agreement", value=equal, low=None, high=None, n=len(items), unit="share"
        ),
        Row(system="judges", metric="kappa", value=kappa, low=None, high=None, n=len(items), unit="kappa"),
    ]


def main() -> None:
    """Read the arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["choose", "join", "count"])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--bundle")
    parser.add_argument("--folder", type=Path, default=Path("local/judging"))
    parser.add_argument("--verdicts", type=Path, default=Path(__file__).with_name("verdicts.jsonl"))
    given = parser.parse_args()
    if given.step == "choose":
        choose(given.data, given.bundle, given.folder)
    elif given.step == "join":
        join(given.folder, given.verdicts)
    else:
        count(given.verdicts)


if __name__ == "__main__":
    main()
