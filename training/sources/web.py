"""Getting public data over the network: retried, conditional, capped, and refused when it is not itself."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import httpx
import stamina

from features.errors import OutsideError
from training.sources.parsing import SourceError

MEBIBYTE = 1 << 20
_AGENT = "listing-risk/0.1 (product-safety research; reads public recall data)"
_BUSY = frozenset({429, 500, 502, 503, 504})
Kind = Literal["json", "xml", "csv"]


class SourceChangedError(SourceError):
    """The publisher answers, but no longer in the form the adapter reads."""


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of a publisher, kept as it came.

    Attributes
    ----------
    key
        Which part of the source it is, such as ``2024`` or ``Report-2026-39``.
    body
        Bytes as received, decompressed.
    state
        What the checkpoint holds once this page is stored.
    facts
        What the source knows about the page besides its body, such as its publication date.
    """

    source: str
    key: str
    url: str
    body: bytes
    fetched_at: datetime
    state: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        """Hash of the body, hexadecimal."""
        return hashlib.sha256(self.body).hexdigest()


class _BusyError(Exception):
    def __init__(self, status: int, url: str, wait: float | None) -> None:
        self.status, self.url, self.wait = status, url, wait
        super().__init__(f"{url} answered {status}")


@dataclass(slots=True)
class Web:
    """A polite client for public data.

    Parameters
    ----------
    http
        The connection pool; its time limits apply to each attempt.
    attempts
        Tries a request gets in all.
    pause
        Seconds between requests.
    longest_wait
        Seconds up to which a ``Retry-After`` is obeyed; a longer one ends the run, to be resumed later.
    validators
        ETag and Last-Modified by address, filled as answers come and sent with the next request.
    """

    http: httpx.Client
    attempts: int = 5
    pause: float = 0.5
    longest_wait: float = 120.0
    first_wait: float = 1.0
    validators: dict[str, dict[str, str]] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _asked: float = 0.0

    def get(
        self,
        url: str,
        kind: Kind,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = 64 * MEBIBYTE,
    ) -> bytes | None:
        """Get one body.

        Parameters
        ----------
        url, params, headers
            The request; ``params`` must be ones the publisher documents.
        kind
            What must come back; a web page instead is refused.
        max_bytes
            A longer body is refused before it is read to its end.

        Returns
        -------
        bytes or None
            None when the publisher says nothing changed since the last time.

        Raises
        ------
        OutsideError
            Not reachable, still busy after all attempts, or refused.
        SourceChangedError
            Too much, or another kind of content.
        """
        address = str(httpx.URL(url, params=params)) if params else url
        sent = {"User-Agent": _AGENT, **self._conditions(address), **(headers or {})}
        try:
            for attempt in stamina.retry_context(
                on=self._wait,
                attempts=self.attempts,
                timeout=None,
                wait_initial=self.first_wait,
                wait_max=30.0,
            ):
                with attempt:
                    return self._once(address, sent, kind, max_bytes)
        except _BusyError as error:
            wait = f"; it asks to wait {error.wait:.0f} s" if error.wait else ""
            raise OutsideError(
                f"{error.url} answered {error.status} {self.attempts} times{wait}. Run again later"
            ) from None
        except httpx.TransportError as error:
            raise OutsideError(
                f"{address} cannot be read: {type(error).__name__}: {error}. Run again to go on"
            ) from None
        return None

    def _conditions(self, address: str) -> dict[str, str]:
        known = self.validators.get(address, {})
        names = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
        return {names[key]: value for key, value in known.items() if key in names and value}

    def _wait(self, error: Exception) -> bool | float:
        """Whether to try again, or after how many seconds."""
        if isinstance(error, _BusyError):
            if error.wait is None:
                return True
            return error.wait if error.wait <= self.longest_wait else False
        return isinstance(error, httpx.TransportError)

    def _once(self, address: str, headers: Mapping[str, str], kind: Kind, max_bytes: int) -> bytes | None:
        time.sleep(max(0.0, self._asked + self.pause - time.monotonic()))
        self._asked = time.monotonic()
        with self.http.stream("GET", address, headers=headers) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED:
                return None
            if answer.status_code in _BUSY:
                raise _BusyError(answer.status_code, address, self._retry_after(answer))
            if answer.status_code in (401, 403):
                raise OutsideError(
                    f"{address} refused with {answer.status_code}: check the key, or whether this network may ask"
                )
            if answer.is_redirect or answer.is_error:
                raise SourceChangedError(
                    f"{address} answered {answer.status_code}, expected 200; the address may have moved"
                )
            body = bytearray()
            for chunk in answer.iter_bytes():
                body += chunk
                if len(body) > max_bytes:
                    raise SourceChangedError(
                        f"{address}: more than {max_bytes / MEBIBYTE:.0f} MiB, more than the question deserves; a "
                        "parameter the publisher does not know returns everything. Nothing was kept"
                    )
            _check_kind(address, bytes(body[:512]), kind)
            self.validators[address] = {
                "etag": answer.headers.get("etag", ""),
                "last_modified": answer.headers.get("last-modified", ""),
            }
            return bytes(body)

    def _retry_after(self, answer: httpx.Response) -> float | None:
        text = answer.headers.get("retry-after", "")
        if text.isdigit():
            return float(text)
        try:
            return max(0.0, (parsedate_to_datetime(text) - self.now()).total_seconds())
        except (TypeError, ValueError):
            return None


def _check_kind(address: str, head: bytes, kind: Kind) -> None:
    start = head.lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if start.startswith((b"<!doctype html", b"<html")):
        raise OutsideError(
            f"{address}: got a web page, expected {kind.upper()}. A guard in front of the publisher may be refusing "
            "this network, or the address has moved: open it in a browser"
        )
    if kind == "xml" and not start.startswith(b"<"):
        raise SourceChangedError(f"{address}: got {bytes(start[:20])!r}, expected XML")
    if kind == "json" and not start.startswith((b"{", b"[")):
        raise SourceChangedError(f"{address}: got {bytes(start[:20])!r}, expected JSON")
