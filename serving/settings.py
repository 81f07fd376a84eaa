"""Settings of the service, read from an environment that is handed in, never at import."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar, get_args

from features.errors import UserError
from features.own_files import FILES, OwnFilesError, checked_folder
from serving.access.settings import AccessSettings, read_access
from serving.supply.settings import SupplySettings, read_supply

PREFIX = "LISTING_RISK_"
STARTER = Path(__file__).with_name("starter")
"""The bundle that travels with the package."""

Log = Literal["json", "off"]

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may ask of the service.

    Attributes
    ----------
    body, body_many
        Largest body of ``/v1/score`` and ``/v1/score-many``, in bytes.
    listings
        Most listings in one ``/v1/score-many``.
    waiting, waiting_many
        Most requests of each kind inside the service at once; the next one is answered 429.
    body_seconds
        Time a body has to arrive in.
    wait_seconds, wait_seconds_many
        A listing that would wait longer to be scored is answered 429, by kind of request.
    block
        Most single listings that are scored in one go.
    share_many
        Share of the scoring time that ``/v1/score-many`` gets while both kinds of request wait.
    """

    body: int = 1_000_000
    body_many: int = 16_000_000
    listings: int = 256
    waiting: int = 64
    waiting_many: int = 4
    body_seconds: float = 10.0
    wait_seconds: float = 0.1
    wait_seconds_many: float = 5.0
    block: int = 32
    share_many: float = 0.5


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the service listens and what it loads.

    ``bundle`` and ``policy`` None mean the starter bundle and the default policy. ``register`` is a file of KC
    certificates and their states, as imported. ``store`` is the address of the store, a path to a SQLite file or
    ``postgresql://...``; empty scores without recording anything. ``matcher`` None means the matcher of the package.
    ``checkpoints`` None means beside the SQLite file or in the state folder. ``retention_days`` None keeps everything.
    ``image_hosts`` are the hosts that photos may be fetched from, ``image_folder`` is where file names in ``images``
    are looked up; without them only photos that come with the listing are looked at.
    ``workers`` are processes of the service; in each, ``threads`` score
    blocks of listings beside the event loop.
    """

    bundle: Path | None = None
    policy: Path | None = None
    register: Path | None = None
    host: str = "127.0.0.1"
    port: int = 3000
    threads: int = 2
    workers: int = 1
    log: Log = "json"
    limits: Limits = field(default_factory=Limits)
    store: str = ""
    matcher: Path | None = None
    checkpoints: Path | None = None
    retention_days: float | None = None
    image_hosts: tuple[str, ...] = ()
    image_folder: Path | None = None
    webhook_hosts: str = ""
    access: AccessSettings = field(default_factory=AccessSettings)
    supply: SupplySettings = field(default_factory=SupplySettings)


def state_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder of this user that outlives a session: ``$XDG_STATE_HOME/listing-risk``, by default under home.

    Parameters
    ----------
    environ
        Usually ``os.environ``.
    """
    base = environ.get("XDG_STATE_HOME", "").strip()
    return (Path(base) if base else Path.home() / ".local" / "state") / "listing-risk"


class SettingsError(UserError):
    """Settings that cannot be used; the message has every wrong one."""


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read the settings from environment variables named ``LISTING_RISK_*``.

    Parameters
    ----------
    environ
        Usually ``os.environ``.

    Raises
    ------
    SettingsError
        Naming every variable that is wrong, what was got and what is expected.
    """
    reader = _Reader(environ)
    usual, limits = Settings(), Limits()
    # The whole process reads its data files there (`features.own_files`); here a wrong folder is named.
    reader.read("TAXONOMY", None, _own_files, f"a folder with one of {', '.join(FILES)}")
    settings = Settings(
        bundle=reader.read("BUNDLE", None, Path, "a folder"),
        policy=reader.read("POLICY", None, Path, "a file"),
        register=reader.read("KC_REGISTER", None, Path, "a file"),
        host=reader.read("HOST", usual.host, _address, "an IP address such as 127.0.0.1"),
        port=reader.read("PORT", usual.port, _within(1, 65_535), "a number from 1 to 65535"),
        threads=reader.read("THREADS", usual.threads, _within(1, 64), "a number from 1 to 64"),
        workers=reader.read("WORKERS", usual.workers, _within(1, 64), "a number from 1 to 64"),
        log=reader.read("LOG", usual.log, _log, f"one of {', '.join(get_args(Log))}"),
        limits=Limits(
            body=reader.count("BODY_BYTES", limits.body),
            body_many=reader.count("BODY_BYTES_MANY", limits.body_many),
            listings=reader.count("LISTINGS", limits.listings),
            waiting=reader.count("WAITING", limits.waiting),
            waiting_many=reader.count("WAITING_MANY", limits.waiting_many),
            body_seconds=reader.read("BODY_SECONDS", limits.body_seconds, _seconds, "seconds, up to 600"),
            wait_seconds=reader.read("WAIT_SECONDS", limits.wait_seconds, _seconds, "seconds, up to 600"),
            wait_seconds_many=reader.read(
                "WAIT_SECONDS_MANY", limits.wait_seconds_many, _seconds, "seconds, up to 600"
            ),
            block=reader.read("BLOCK", limits.block, _within(1, 1_000), "a number from 1 to 1000"),
            share_many=reader.read("SHARE_MANY", limits.share_many, _share, "a share from 0.05 to 0.95"),
        ),
        store=reader.read("STORE", usual.store, str, "a path or an address"),
        matcher=reader.read("MATCHER", None, Path, "a file"),
        checkpoints=reader.read("CHECKPOINTS", None, Path, "a folder"),
        retention_days=reader.read("RETENTION_DAYS", None, _days, "days, such as 365"),
        image_hosts=reader.read("IMAGE_HOSTS", usual.image_hosts, _hosts, "host names, by commas"),
        image_folder=reader.read("IMAGE_FOLDER", None, Path, "a folder"),
        webhook_hosts=reader.read("WEBHOOK_HOSTS", "", str, "hosts separated by commas"),
        access=read_access(environ),
        supply=read_supply(environ),
    )
    if reader.problems:
        raise SettingsError("; ".join(reader.problems))
    return settings


class _Reader:
    """Reads variables one by one and keeps every problem."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def read(self, name: str, usual: _Value, parse: Callable[[str], _Value], expected: str) -> _Value:
        text = self.environ.get(PREFIX + name, "").strip()
        if not text:
            return usual
        try:
            return parse(text)
        except ValueError:
            self.problems.append(f"{PREFIX}{name}: got {text!r}, expected {expected}")
            return usual

    def count(self, name: str, usual: int) -> int:
        return self.read(name, usual, _within(1, 1_000_000_000), "a whole number of at least 1")


def _within(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError(text)
        return value

    return parse


def _own_files(text: str) -> Path:
    try:
        return checked_folder(Path(text))
    except OwnFilesError:
        raise ValueError(text) from None


def _hosts(text: str) -> tuple[str, ...]:
    return tuple(host.strip() for host in text.split(",") if host.strip())


def _days(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 36_500:
        raise ValueError(text)
    return value


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 600:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0.05 <= value <= 0.95:
        raise ValueError(text)
    return value


def _address(text: str) -> str:
    return str(ipaddress.ip_address(text))


def _log(text: str) -> Log:
    for known in get_args(Log):
        if text == known:
            return known
    raise ValueError(text)
