"""The first look: the service up, the sample catalogue ranked, and what to open next."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from features.schema import parse_listing
from serving.demo.seed import Seeded, seed
from serving.opening import make_store_folder
from serving.run import Running, most_urgent_first, sample_listings, start
from serving.settings import Settings, state_folder

if TYPE_CHECKING:
    from rich.console import Console

    from serving.predictor import Predictor

_COLOURS = {
    "block": "bold red",
    "lab_test": "magenta",
    "review": "yellow",
    "monitor": "cyan",
    "allow": "green",
}
_SHOWN = ("block", "lab_test", "review")
_EACH = 5
_TITLE = 60


class Demo:
    """Runs the service on one port for a person who looks at it for the first time.

    Parameters
    ----------
    port, console
        Where the service listens, and where to write.
    store
        Address of the store that the sample is put into; by default ``demo.db`` in the state folder, never the store
        of the other commands.
    """

    def __init__(self, port: int, console: Console, store: str | None = None) -> None:
        store = store or str(state_folder(os.environ) / "demo.db")
        make_store_folder(store)
        self.settings = Settings(port=port, store=store)
        self.console = console
        self.folder = state_folder(os.environ)
        self.pid_file = self.folder / f"service-{port}.pid"

    def run(self, *, detach: bool) -> None:
        """Start, rank, print; then wait for Ctrl-C or SIGTERM, or leave the service running."""
        # Whoever ends this program by a signal wants the service to end with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with self.console.status("starting the service"):
            running = start(self.settings, os.environ, self.folder / f"service-{self.settings.port}.log")
        try:
            with self.console.status("putting the sample catalogue to work"):
                seeded = seed(running.address, self.settings.store)
            if seeded is not None:
                self.console.print(ranking_table(one_of_each(seeded.ranked)))
            self._next(running, seeded, detach)
            if detach:
                self.pid_file.write_text(str(running.process.pid), encoding="ascii")
                return
            # The service has its own process session, so Ctrl-C reaches only us; it is stopped below.
            with suppress(KeyboardInterrupt):
                running.process.wait()
        except BaseException:
            running.stop()
            raise
        running.stop()
        self.console.print("stopped")

    def stop(self) -> None:
        """Stop a service that was left running; quietly, where none is."""
        if not self.pid_file.is_file():
            self.console.print(f"no service was left running on port {self.settings.port}")
            return
        with suppress(ProcessLookupError):
            os.killpg(int(self.pid_file.read_text(encoding="ascii")), signal.SIGTERM)
        self.pid_file.unlink()
        self.console.print("stopped")

    def _next(self, running: Running, seeded: Seeded | None, detach: bool) -> None:
        stop = f"listing-risk demo --stop --port {self.settings.port}"
        end = f"`make stop` or `{stop}` ends it" if detach else "Ctrl-C ends it"
        what = (
            "There are accounts in this store, so no sample was put into it."
            if seeded is None
            else _did(seeded)
        )
        self.console.print(
            f"\n{what}\n\n"
            f"The service is ready at [bold]{running.address}[/] ({end}).\n"
            f"  open        {running.address}/console    the console: queue, reasons, bans, decisions\n"
            f"              {running.address}/docs    the interface, with examples\n"
            "  try         listing-risk batch YOUR.csv --output scores.csv --columns title=...,price=...\n"
            "              listing-risk audit verify --store "
            f"{self.settings.store}\n"
            f"  log         {running.log}",
            highlight=False,
            soft_wrap=True,  # commands and addresses in it are copied
        )


def _did(seeded: Seeded) -> str:
    counts: dict[str, int] = {}
    for _, decision in seeded.ranked:
        counts[decision["action"]] = counts.get(decision["action"], 0) + 1
    found = ", ".join(f"{counts[name]} {name}" for name in _COLOURS if name in counts)
    copy = seeded.copy["action"] if seeded.copy else "not uploaded"
    return (
        f"{len(seeded.ranked)} sample listings (all invented): {found}\n"
        f"{seeded.bans} banned items; an edited copy of one of them was uploaded again: {copy}"
    )


def draw_ranking(predictor: Predictor, path: Path) -> None:
    """Draw the ranking of the sample catalogue as a terminal shows it."""
    from rich.console import Console

    listings = sample_listings()
    decisions = predictor.decide([parse_listing(raw) for raw in listings])
    ranked = most_urgent_first([(raw, made.to_json()) for raw, made in zip(listings, decisions, strict=True)])
    console = Console(record=True, width=112, file=StringIO())
    console.print(ranking_table(one_of_each(ranked), each=4))
    # The exporter's own font comes from an outside host; every viewer has a monospace one.
    picture = re.sub(
        r"@font-face\s*\{.*?\}", "", console.export_svg(title="listing-risk demo"), flags=re.DOTALL
    )
    path.write_text(picture, encoding="utf-8")


def one_of_each(
    ranked: list[tuple[dict[str, Any], dict[str, Any]]],
) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Keep the first listing of each action and product group, so that the first look shows the breadth."""
    seen: set[tuple[str, str]] = set()
    kept = []
    for listing, decision in ranked:
        key = (decision["action"], decision["group"])
        if key not in seen:
            seen.add(key)
            kept.append((listing, decision))
    return kept


def ranking_table(ranked: list[tuple[dict[str, Any], dict[str, Any]]], each: int = _EACH) -> Table:
    """Return the first listings of each action, riskiest first, as a table that fits a narrow terminal."""
    table = Table(title="What to look at first", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("action", no_wrap=True, min_width=8)
    table.add_column("listing, and why")
    shown: dict[str, int] = {}
    for listing, decision in ranked:
        action = decision["action"]
        shown[action] = shown.get(action, 0) + 1
        if action not in _SHOWN or shown[action] > each:
            continue
        likely = ", ".join(f"{h['hazard']} {h['p']:.0%}" for h in decision["hazards"][:3])
        words = " · ".join(dict.fromkeys(phrase["text"] for phrase in decision["reasons"][:3]))
        title = listing["title"] if len(listing["title"]) <= _TITLE else listing["title"][: _TITLE - 1] + "…"
        why = f"[dim]{decision['risk_level']} risk: {escape(likely)}" + (
            f"  ({escape(words)})" if words else ""
        )
        table.add_row(f"[{_COLOURS[action]}]{action}[/]", f"{escape(title)}\n{why}[/]")
    return table
