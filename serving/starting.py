"""Loading what the service needs, again and again until it is there.

A worker that ended because the store was away or a file was missing would be started again and again, unheard of by
whoever asks how it is. So it stays, answers 503 with the reason, and tries again by itself.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from serving import logs
from serving.doors import Doors, Engine, Work
from serving.readiness import of_start

FIRST_S, LAST_S = 1.0, 15.0
log = logging.getLogger("serving.app")

Load = Callable[[], Engine]


class Start:
    """Loads an engine and begins what goes on beside it.

    Parameters
    ----------
    load
        Makes the engine; called until it succeeds once.
    doors
        Through which the rooms reach the engine, or learn why there is none.
    works
        Begun once the engine is loaded, ended before it closes.
    first_s, last_s
        Pause after the first failure; it doubles up to the last.
    """

    def __init__(
        self,
        load: Load,
        doors: Doors,
        works: Sequence[Work],
        first_s: float = FIRST_S,
        last_s: float = LAST_S,
    ) -> None:
        self.load = load
        self.doors = doors
        self.works = works
        self.pauses = (first_s, last_s)
        self._begun = ExitStack()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Try once here, and where that fails again and again in a thread."""
        if not self._try():
            self._thread = threading.Thread(target=self._again, name="start", daemon=True)
            self._thread.start()

    def end(self) -> None:
        """End what was begun and close the engine, or stop trying."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
        self._begun.close()
        self.doors.trouble = None

    def _again(self) -> None:
        pause, last = self.pauses
        while not self._stopping.wait(pause):
            if self._try():
                return
            pause = min(2 * pause, last)

    def _try(self) -> bool:
        try:
            with ExitStack() as begun:
                self._load(begun)
                self._begun = begun.pop_all()
        except Exception as error:  # whatever it is: asked how it is, the service must be able to say so
            self.doors.trouble = trouble = of_start(error)
            facts = {"part": trouble.part, "cause": trouble.cause, "advice": trouble.advice}
            logs.event(log, logging.ERROR, "not ready", facts | {"error": logs.frames(error)})
            return False
        self.doors.trouble = None
        self._say_ready()
        return True

    def _load(self, begun: ExitStack) -> None:
        engine = self.load()
        begun.callback(engine.close)
        self.doors.loaded = engine
        begun.callback(self._forget)
        for work in self.works:
            begun.enter_context(work(self.doors))

    def _forget(self) -> None:
        self.doors.loaded = None

    def _say_ready(self) -> None:
        predictor = self.doors.engine().predictor
        versions = {"model_version": predictor.model_version, "policy_version": predictor.policy.version}
        self.doors.metrics.info.labels(**versions).set(1)
        logs.event(log, logging.INFO, "ready", versions | {"uncovered": len(predictor.policy.uncovered)})
