"""Where the processor time of a row of a file goes, stage by stage, in one process."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from features.partitions import read_partitions, rows_of
from features.reader import read_row
from serving.batch.files import FileRun
from serving.batch.partition import Reading, score_partition
from serving.batch.run import plan_for
from serving.predictor import Predictor, load_predictor
from serving.settings import Settings

_Item = TypeVar("_Item")


class _Stopwatch:
    """Seconds of this process's processor time by stage."""

    def __init__(self) -> None:
        self.taken: dict[str, float] = {}

    def run(self, stage: str, call: Callable[[], _Item]) -> _Item:
        """Call and count."""
        started = time.process_time()
        result = call()
        self.taken[stage] = self.taken.get(stage, 0.0) + time.process_time() - started
        return result

    def each(self, stage: str, items: Iterable[_Item]) -> Iterator[_Item]:
        """Iterate and count what getting the next one costs."""
        left = iter(items)
        while (item := self.run(stage, lambda: next(left, None))) is not None:
            yield item


class _Timed:
    """A predictor whose judging is counted; each listing is judged once, since texts are remembered."""

    def __init__(self, predictor: Predictor, watch: _Stopwatch) -> None:
        self._predictor, self._watch = predictor, watch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._predictor, name)

    def judge(self, *given: Any, **named: Any) -> Any:
        """See `Predictor.judge`."""
        return self._watch.run("judge", lambda: self._predictor.judge(*given, **named))


def stages(source: Path, output: Path, settings: Settings) -> dict[str, float]:
    """Take a file through the batch in one process.

    Returns
    -------
    dict
        Milliseconds of processor time a row: ``hash`` the input, ``read`` it, ``parse`` rows to listings, ``judge``
        them (bundle and policy), make the ``table`` of them, ``keep`` it in shards and join these to the output.
    """
    predictor, watch, reading = load_predictor(settings), _Stopwatch(), Reading()
    plan = plan_for(settings, predictor.taxonomy.codes, again=True)
    run = watch.run("hash", lambda: FileRun(source, output, plan))
    timed: Any = _Timed(predictor, watch)
    rows = 0
    for table in watch.each("read", read_partitions(source)):
        watch.run("parse", lambda table=table: [read_row(row, None, {}) for row in rows_of(table)])
        scored = watch.run("all", lambda table=table: score_partition(table, reading, timed))
        watch.run("keep", lambda scored=scored: run.shards.add(scored))
        rows += table.num_rows
    watch.run("keep", run.finish)
    taken = watch.taken
    # `score_partition` parses once more and judges; the rest of it is the table.
    taken["table"] = max(taken.pop("all") - taken["parse"] - taken["judge"], 0.0)
    return {f"{stage}_cpu_ms": 1e3 * seconds / rows for stage, seconds in taken.items()}
