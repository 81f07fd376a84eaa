"""What a batch shows of itself: a bar on a terminal, a line now and then in a log, and what came of each file."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import rich.progress as bars

from serving.batch.files import BatchReport
from serving.batch.outputs import about_rows
from serving.commands.options import USER, plain

_EVERY_SECONDS = 10.0
_SHOWN = 20


class Progress:
    """Counts rows and shows them while the block lasts.

    Parameters
    ----------
    console
        Where to; a bar where it is a terminal.
    pairs
        Sources and outputs; the number of rows is guessed from the sources.
    clock
        Seconds that only go forward.
    """

    def __init__(
        self, console: Any, pairs: Sequence[tuple[Path, Path]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console, self._clock = console, clock
        self._total = sum(about_rows(source) for source, _ in pairs)
        self._done, self._before, self._files, self._ended = 0, 0, len(pairs), 0
        self._started = self._said = clock()
        self._problems: list[str] = []
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}"),
            bars.BarColumn(),
            bars.TextColumn("{task.completed:,.0f} rows"),
            bars.TextColumn("{task.fields[rate]:,.0f}/s"),
            bars.TimeElapsedColumn(),
            bars.TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("scoring", total=self._total or None, rate=0.0)

    def __enter__(self) -> Progress:
        """Start the bar."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Take the bar away."""
        self._bar.stop()

    def earlier(self, count: int) -> None:
        """Count rows that an earlier run had done; they are no part of the rate."""
        self._before += count
        self._done += count

    def rows(self, count: int) -> None:
        """Count rows that are done."""
        self._done += count
        now = self._clock()
        rate = (self._done - self._before) / max(now - self._started, 1e-9)
        # The total is a guess: it is moved rather than passed.
        total = max(self._total, self._done) or None
        self._bar.update(self._task, completed=self._done, total=total, rate=rate)
        if not self._console.is_terminal and now - self._said >= _EVERY_SECONDS:
            self._said = now
            share = f", about {self._done / total:.0%}" if total else ""
            self._print(
                f"{self._done:,} rows, {rate:,.0f} a second{share}, file {self._ended + 1} of {self._files}"
            )

    def report(self, report: BatchReport) -> None:
        """Say what came of a file; of very many only what went wrong."""
        self._ended += 1
        if report.problem:
            self._problems.append(report.problem)
            self._console.print(f"[bold red]error[/] {plain(report.problem)}", highlight=False)
            return
        if self._ended > _SHOWN and not report.rejected:
            return
        again = f" ({report.resumed:,} rows were done before)" if report.resumed else ""
        self._print(f"{report.scored:,} scored, {report.rejected:,} rejected -> {report.output}{again}")
        self._print(", ".join(f"{name} {count:,}" for name, count in sorted(report.actions.items())))
        if report.notes:
            self._print(report.notes)
        if report.rejects is not None:
            self._print(f"rejected rows with their reasons: {report.rejects}")

    def end(self) -> None:
        """Say the sum; exit with 2 when a file could not be read."""
        took = self._clock() - self._started
        if self._files > 1:
            whole = self._ended - len(self._problems)
            self._print(
                f"{whole:,} of {self._files:,} files, {self._done - self._before:,} rows in {took:,.0f} s"
            )
        if self._problems:
            sys.exit(USER)

    def _print(self, text: str) -> None:
        self._console.print(plain(text), highlight=False)
