"""The engine of many machines, and the one gate to Ray: the same scoring of pieces, with a loaded model per actor."""

from __future__ import annotations

import logging
import os
import pickle
import socket
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any

from features.errors import OutsideError, UserError
from features.own_files import VARIABLE, own_folder
from serving.batch.run import Job, Piece, pieces_of, score_piece
from serving.predictor import load_predictor
from serving.settings import Settings

_CELL = "piece"
_STARTS = 4
"""Times that a cluster on this machine is begun: Ray gives itself half a minute, however busy the machine is."""

_ACTOR = {"max_restarts": -1, "max_task_retries": 5}
"""An actor whose process or machine is lost is started anew; a piece that five of them died of ends the run."""


def _scorer(settings: Settings) -> type:
    """Return the class of the actors; the settings travel with it, so that a restart finds them whatever was lost."""

    class Scorer:
        """Loads the bundle once, scores piece after piece."""

        def __init__(self) -> None:
            self._predictor = load_predictor(settings)

        def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
            scored = (score_piece(_unpacked(cell), self._predictor) for cell in rows[_CELL])
            return {_CELL: [_packed(piece) for piece in scored]}

    return Scorer


def _read(row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Read a job where Ray puts it; every machine has to see the files under the same path."""
    for piece in pieces_of(pickle.loads(row["job"])):  # noqa: S301 - written below, in this run
        yield {_CELL: _packed(piece)}


def _packed(piece: Piece) -> bytes:
    return pickle.dumps(piece, protocol=5)


def _unpacked(cell: bytes) -> Piece:
    return pickle.loads(cell)  # noqa: S301 - written by `_packed`, in this run


def _own_files() -> dict[str, Any]:
    """Return the option that lets actors of a cluster that is there already read a team's own data files."""
    folder = own_folder()
    return {} if folder is None else {"runtime_env": {"env_vars": {VARIABLE: str(folder)}}}


def _reach(address: str) -> None:
    """Find out within seconds that nobody listens; Ray itself takes minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return  # a word of Ray's own, such as auto
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10.0).close()
    except (OSError, OverflowError) as error:
        raise OutsideError(f"no Ray cluster answers at {address}: {error}") from None


class OnRay:
    """An engine on a Ray cluster, connected while the block lasts.

    Parameters
    ----------
    settings
        What every actor loads its predictor from; paths in it have to exist on every machine.
    actors
        How many score.
    address
        Of the cluster. None means what ``RAY_ADDRESS`` names, else a cluster of its own on this machine.
    object_store_bytes
        Shared memory of a cluster that is started here.

    Raises
    ------
    UserError
        When Ray is not installed.
    OutsideError
        When the cluster does not answer, or loses more than it can make up for.
    """

    def __init__(
        self,
        settings: Settings,
        actors: int,
        address: str | None = None,
        object_store_bytes: int = 200_000_000,
    ) -> None:
        self._settings, self._actors, self._address = settings, actors, address
        self._object_store = object_store_bytes
        self._ours = False

    def __enter__(self) -> OnRay:
        """Connect."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # errors come as exceptions
        try:
            import ray
        except ModuleNotFoundError:
            raise UserError("--engine ray needs the package ray: pip install 'listing-risk[ray]'") from None
        if ray.is_initialized():
            return self
        address = self._address or os.environ.get("RAY_ADDRESS") or None
        here = _own_files() if address else self._here()
        if address:
            _reach(address)
        for left in range(_STARTS if address is None else 1, 0, -1):
            try:
                ray.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
                break
            except Exception as error:  # Ray raises many kinds, Exception itself among them
                ray.shutdown()
                if left > 1:
                    continue
                said = (str(error).splitlines() or [type(error).__name__])[0][:300]
                raise OutsideError(f"no Ray cluster answers at {address or 'this machine'}: {said}") from None
        self._ours = True
        return self

    def _here(self) -> dict[str, Any]:
        """Return the size of a cluster on this machine: a slot for each actor, one for reading."""
        return {
            "num_cpus": self._actors + 1,
            "object_store_memory": self._object_store,
            "include_dashboard": False,
            # Processes that wait for any task are of no use: the actors need their own.
            "_system_config": {"prestart_worker_first_driver": False},
        }

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Disconnect; a cluster that was started here ends."""
        if self._ours:
            import ray

            ray.shutdown()

    def score(self, jobs: Iterable[Job]) -> Iterator[Piece]:
        """See `serving.batch.run.Engine`.

        Raises
        ------
        OutsideError
            When Ray gives up.
        """
        import ray.exceptions

        rows = [{"job": pickle.dumps(job, protocol=5)} for job in jobs]
        if not rows:
            return
        try:
            for row in self._dataset(rows).iter_rows():
                yield _unpacked(row[_CELL])
        except ray.exceptions.RayError as error:
            raise OutsideError(
                f"Ray gave up: {str(error).splitlines()[0][:300]}. What is done is kept: run the batch again."
            ) from None

    def _dataset(self, rows: list[dict[str, Any]]) -> Any:
        import ray.data

        # Ray tells every step of every dataset; what a person needs to know of a batch, the batch says itself.
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        context = ray.data.DataContext.get_current()
        context.execution_options.preserve_order = True
        context.enable_progress_bars = False
        context.max_errored_blocks = 0
        context.target_max_block_size = 1  # each piece by itself: it goes to whichever actor is free
        read = ray.data.from_items(rows, override_num_blocks=len(rows)).flat_map(_read)
        return read.map_batches(
            _scorer(self._settings),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=self._actors),
            ray_remote_args_fn=lambda: dict(_ACTOR),
        )
