"""Stages of the online path: which of its functions belong to which, and what is counted while they run."""

from __future__ import annotations

import sys
import time
import tracemalloc
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import numpy as np

from features.text import NgramVocabulary
from serving.doors import Engine

CONTAINED = (
    "parse",
    "earlier",
    "normalise",
    "read",
    "tokenise",
    "encode",
    "ngrams",
    "heads",
    "covert",
    "risk",
    "match",
    "policy",
    "reasons",
    "decision",
    "answer",
    "record",
)
"""Stages in the order in which a listing meets them.

``earlier`` asks the store what the listing was before, ``read`` is name view, product group, audience and language,
``tokenise`` cuts words for the encoder and ``ngrams`` for the heads, ``answer`` writes the decision out for the caller
and for the record, and ``record`` waits until it is on disk.
"""


class Gauge:
    """Counts nothing; the form of those that do."""

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Run as part of a stage."""
        self.enter(name)
        try:
            yield
        finally:
            self.leave()

    def enter(self, name: str) -> None:
        """Begin a stage."""

    def leave(self) -> None:
        """End the stage begun last."""


class _Kept(Gauge):
    """Keeps a value per stage and listing."""

    def __init__(self) -> None:
        self._now: dict[str, float] = defaultdict(float)
        self._all: dict[str, list[float]] = defaultdict(list)

    def finish(self, listings: int) -> None:
        """Close a block of so many listings."""
        for stage in CONTAINED:
            self._all[stage].append(self._now.get(stage, 0.0) / listings)
        self._now.clear()

    def of(self, stage: str) -> np.ndarray:
        """Return a value per block, a listing's share of it."""
        return np.array(self._all[stage])


class Clock(_Kept):
    """Microseconds; a stage that calls another does not count for it."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[str] = []
        self._since = 0

    def enter(self, name: str) -> None:
        """Begin a stage."""
        now = time.perf_counter_ns()
        if self._open:
            self._now[self._open[-1]] += (now - self._since) / 1e3
        self._open.append(name)
        self._since = time.perf_counter_ns()

    def leave(self) -> None:
        """End the stage begun last."""
        now = time.perf_counter_ns()
        self._now[self._open.pop()] += (now - self._since) / 1e3
        self._since = time.perf_counter_ns()


class Allocations(_Kept):
    """Most bytes that a stage holds at a time beyond what it found, and the blocks of memory that it leaves behind."""

    def __init__(self) -> None:
        super().__init__()
        self._open: list[list[Any]] = []
        self._blocks = _Kept()
        tracemalloc.start()

    def stop(self) -> None:
        """Stop counting."""
        tracemalloc.stop()

    def enter(self, name: str) -> None:
        """Begin a stage."""
        self._see_peak()
        held, _ = tracemalloc.get_traced_memory()
        self._open.append([name, held, held, sys.getallocatedblocks(), 0])

    def leave(self) -> None:
        """End the stage begun last."""
        self._see_peak()
        name, began, peak, blocks, inside = self._open.pop()
        added = sys.getallocatedblocks() - blocks
        self._now[name] += peak - began
        self._blocks._now[name] += added - inside
        if self._open:
            self._open[-1][4] += added

    def _see_peak(self) -> None:
        _, peak = tracemalloc.get_traced_memory()
        for one in self._open:
            one[2] = max(one[2], peak)
        tracemalloc.reset_peak()

    def finish(self, listings: int) -> None:
        """Close a block of so many listings."""
        super().finish(listings)
        self._blocks.finish(listings)

    def blocks(self, stage: str) -> np.ndarray:
        """Return blocks left behind per block of listings, a listing's share."""
        return self._blocks.of(stage)


@contextmanager
def wrapped(engine: Engine, gauge: Gauge) -> Iterator[None]:
    """Wrap the functions of each stage where they are called, for as long as this is open."""
    with ExitStack() as stack:
        for stage, owner, name in _methods(engine):
            stack.enter_context(patch.object(owner, name, _in(gauge, stage, getattr(owner, name))))
        for stage, function in _functions():
            replaced = _in(gauge, stage, function)
            for module in _holders(function):
                stack.enter_context(patch.object(module, function.__name__, replaced))
        yield


def _in(gauge: Gauge, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def measured(*args: Any, **named: Any) -> Any:
        gauge.enter(stage)
        try:
            return function(*args, **named)
        finally:
            gauge.leave()

    return measured


def _methods(engine: Engine) -> Iterator[tuple[str, Any, str]]:
    """Stage, object and method; private names, since nobody else needs the stages apart."""
    predictor: Any = engine.predictor
    bundle = predictor.bundle
    yield "read", bundle._reader, "read"
    yield "encode", bundle.encoder, "encode"
    yield "ngrams", NgramVocabulary, "row"
    yield "heads", bundle, "laboratory"
    yield "covert", bundle, "_covert_probability"
    yield "risk", predictor, "_risk"
    yield "policy", predictor, "_facts"
    yield "decision", predictor, "_decision"
    yield "reasons", bundle, "explain"
    yield "reasons", bundle, "nearest"
    if engine.bans is not None:
        # The look-up is in a frozen record; the object in it is not.
        yield "match", predictor.checks.matches.finder, "compare"


def _functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    from features.normalize import normalize
    from features.use_encoder import use_ids
    from serving.policy.evaluation import evaluate

    yield "normalise", normalize
    yield "tokenise", use_ids
    yield "policy", evaluate


def _holders(function: Callable[..., Any]) -> list[Any]:
    """Modules that took the function in by its name."""
    return [
        module
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] in ("features", "training", "serving")
        and getattr(module, function.__name__, None) is function
    ]
