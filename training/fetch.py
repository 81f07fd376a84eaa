"""Fetch a public source piece by piece: stored with its hash, read into records, resumable after any stop.

Four files a source, in one folder: ``NAME.raw.jsonl`` (answers as they came), ``NAME.records.jsonl``,
``NAME.rejects.jsonl`` and ``NAME.checkpoint.json``. A page is written to the first three, then the checkpoint is
replaced in one step with their lengths. After a kill the files are cut back to those lengths, so that nothing is
stored twice and nothing is lost.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from training.checkpoint import Checkpoint, Store
from training.records import Record, Reject
from training.sources import SOURCES, NetworkSource, SourceError
from training.sources.jsonl import to_line
from training.sources.web import Page, Web

_TIMEOUT = httpx.Timeout(60.0, connect=15.0)


@dataclass(frozen=True, slots=True)
class FetchCounts:
    """What one run did: pages stored, pages whose content was stored before, records and rejects."""

    pages: int = 0
    unchanged: int = 0
    records: int = 0
    rejects: int = 0
    bytes: int = 0

    def plus(self, **more: int) -> FetchCounts:
        """These counts with some raised."""
        return replace(self, **{name: getattr(self, name) + by for name, by in more.items()})


def network_source(name: str, **options: Any) -> NetworkSource:
    """A source by name, with options such as ``key`` or ``base`` set.

    Raises
    ------
    SourceError
        When there is no such source or it is not published over the network.
    """
    source = SOURCES.get(name)
    fetchable = [key for key, value in SOURCES.items() if isinstance(value, NetworkSource)]
    if not isinstance(source, NetworkSource):
        raise SourceError(f"got source {name!r}, expected one that can be fetched: {', '.join(fetchable)}")
    try:
        return replace(source, **options)  # type: ignore[type-var]
    except TypeError as error:
        raise SourceError(f"{name}: {str(error).split('__init__() ')[-1]}") from None


def fetch(
    source: NetworkSource,
    folder: Path,
    *,
    web: Web | None = None,
    on_page: Callable[[Page, FetchCounts], None] | None = None,
) -> FetchCounts:
    """Fetch what the checkpoint does not cover yet.

    Parameters
    ----------
    source
        From `network_source`.
    folder
        Made if absent; holds the four files.
    web
        The client; None for one with the usual time limits.
    on_page
        Called after each page is stored, for a progress bar.

    Returns
    -------
    FetchCounts
        Of this run.

    Raises
    ------
    OutsideError
        The publisher cannot be reached or refuses; what was stored stays, a new run goes on from there.
    SourceError
        The publisher answers in another form, or the files on disk do not fit together.
    """
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{source.name}.checkpoint.json"
    checkpoint = Checkpoint.load(place)
    counts = FetchCounts()
    with _client(web) as client, _opened(folder, source.name, checkpoint) as store:
        # "Not changed since" is only asked against a run that ended: after a kill a list that has not changed may
        # still name pages that were never stored.
        client.validators = {url: dict(known) for url, known in checkpoint.validators.items()}
        for page in source.fetch_iter(client, dict(checkpoint.state)):
            counts = _keep(source, page, store, checkpoint, counts)
            checkpoint.state = dict(page.state)
            checkpoint.hashes[page.key] = page.sha256
            checkpoint.lengths = store.settle()
            checkpoint.save(place)
            if on_page is not None:
                on_page(page, counts)
        checkpoint.validators = {url: dict(known) for url, known in client.validators.items()}
        checkpoint.save(place)
    return counts


def _keep(
    source: NetworkSource, page: Page, store: Store, checkpoint: Checkpoint, counts: FetchCounts
) -> FetchCounts:
    if checkpoint.hashes.get(page.key) == page.sha256:
        return counts.plus(unchanged=1)
    records = rejects = 0
    for item in source.parse(page):
        if isinstance(item, Reject):
            rejects += 1
            store.write("rejects", _reject_line(item, page))
        else:
            records += 1
            store.write("records", to_line(item))
    store.write("raw", _raw_line(page))
    return counts.plus(pages=1, records=records, rejects=rejects, bytes=len(page.body))


def _raw_line(page: Page) -> str:
    return json.dumps(
        {
            "source": page.source,
            "key": page.key,
            "url": page.url,
            "fetched_at": page.fetched_at.isoformat(timespec="seconds"),
            "sha256": page.sha256,
            "facts": dict(page.facts),
            "body": page.body.decode("utf-8", "surrogateescape"),
        },
        ensure_ascii=True,
    )


def _reject_line(reject: Reject, page: Page) -> str:
    values = {
        "source": reject.source,
        "page": page.key,
        "line": reject.line,
        "reason": reject.reason,
        "raw": reject.raw,
    }
    return json.dumps(values, ensure_ascii=True)


@contextmanager
def _client(web: Web | None) -> Iterator[Web]:
    if web is not None:
        yield web
        return
    with httpx.Client(timeout=_TIMEOUT, follow_redirects=False) as http:
        yield Web(http)


@contextmanager
def _opened(folder: Path, name: str, checkpoint: Checkpoint) -> Iterator[Store]:
    store = Store(folder, name, checkpoint)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def progress(name: str) -> Iterator[Callable[[Page, FetchCounts], None] | None]:
    """A progress line on a terminal; None where the output is not one."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(f"{name}: asking", total=None)

        def show(page: Page, counts: FetchCounts) -> None:
            size = counts.bytes / 1_048_576
            text = (
                f"{name}: {page.key}, {counts.records:,} records, {counts.rejects:,} rejects, {size:.1f} MiB"
            )
            bar.update(task, description=text)

        yield show


def reparse(source: NetworkSource, folder: Path) -> Iterator[Record | Reject]:
    """Read stored answers again, without the network, after an adapter has changed."""
    path = folder / f"{source.name}.raw.jsonl"
    last: dict[str, Mapping[str, Any]] = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            values = json.loads(line)
            last.pop(values["key"], None)
            last[values["key"]] = values
    for values in last.values():
        yield from source.parse(_page_of(values))


def _page_of(values: Mapping[str, Any]) -> Page:
    return Page(
        source=values["source"],
        key=values["key"],
        url=values["url"],
        body=values["body"].encode("utf-8", "surrogateescape"),
        fetched_at=datetime.fromisoformat(values["fetched_at"]),
        facts=values["facts"],
    )
