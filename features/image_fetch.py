"""Photos by address, for those who allow it: a short list of hosts, and no way into one's own network.

Off unless hosts are named. Every name is resolved here, every answer is checked, and the connection goes to the
checked address itself: a name that answers otherwise a moment later (DNS rebinding) changes nothing. A redirect is a
new address with the same checks. Size and time are capped for the whole of it.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as LateError
from urllib.parse import SplitResult, urljoin, urlsplit

from features.image_intake import DEFAULT_LIMITS, IntakeLimits, Reason, Unusable

MAX_REDIRECTS = 5
_PORTS = {"http": 80, "https": 443}
_BLOCK = 65_536
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_RESOLVERS = 8


class _RefusedError(Exception):
    """Carries why an address is not fetched."""

    def __init__(self, why: Unusable) -> None:
        super().__init__(why.detail)
        self.why = why


class Fetcher:
    """Gets photos over HTTP from allowed hosts.

    Parameters
    ----------
    hosts
        Names that may be asked, such as ``img.example.com``; ``*.example.com`` allows every name below it and not
        the name itself; ``img.example.com:8443`` allows another port. Nothing is fetched when empty.
    limits
        Bytes and seconds of one photo, redirects included.
    first_hop
        FOR TESTS ONLY: addresses that may be connected to although they are not public, and only for the address
        that was asked for, never after a redirect.
    """

    def __init__(
        self, hosts: Iterable[str], limits: IntakeLimits = DEFAULT_LIMITS, *, first_hop: Iterable[str] = ()
    ) -> None:
        self.hosts = frozenset(host.strip().rstrip(".").lower() for host in hosts if host.strip())
        self.limits = limits
        self._first_hop = frozenset(first_hop)
        self._resolvers: ThreadPoolExecutor | None = None

    def fetch(self, address: str) -> bytes | Unusable:
        """Get the bytes behind an address.

        Parameters
        ----------
        address
            ``http`` or ``https``; hostile ones too.

        Returns
        -------
        bytes or Unusable
            Never raises on what the address or the server does.
        """
        if not self.hosts:
            return Unusable(
                "fetching_off", "got an address; fetching is off until hosts are allowed in the settings"
            )
        until = time.monotonic() + self.limits.seconds
        try:
            for hop in range(MAX_REDIRECTS + 1):
                got = self._hop(address, hop, until)
                if isinstance(got, bytes):
                    return got
                address = got
        except _RefusedError as refused:
            return refused.why
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= until - 0.01:
                return self._late()
            return Unusable("not_reached", f"got {type(error).__name__} from the host of the photo")
        return Unusable("too_many_redirects", f"got more than {MAX_REDIRECTS} redirects")

    def _hop(self, address: str, hop: int, until: float) -> bytes | str:
        """One request: the body, or the address that it redirects to."""
        parts = _parts(address)
        port = self._allowed(parts)
        ip = self._resolve(str(parts.hostname), port, hop, until)
        with _Connection(parts, port, ip, until) as connection:
            response = connection.ask()
            if time.monotonic() >= until:
                raise _RefusedError(self._late())
            if response.status in (301, 302, 303, 307, 308):
                target = response.headers.get("Location")
                if not target:
                    raise _refused("http_error", "got a redirect without an address")
                return urljoin(address, target)
            if response.status != 200:
                raise _refused("http_error", f"got status {response.status}; expected 200")
            return self._body(response, until)

    def _body(self, response: http.client.HTTPResponse, until: float) -> bytes:
        limit = self.limits.max_bytes
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise _refused("http_error", "got a compressed answer although none was asked for")
        stated = response.headers.get("Content-Length", "")
        if stated.isdigit() and int(stated) > limit:
            raise _refused("too_many_bytes", f"got {stated[:20]} bytes announced; expected at most {limit}")
        parts: list[bytes] = []
        total = 0
        while block := response.read(min(_BLOCK, limit + 1 - total)):
            parts.append(block)
            total += len(block)
            if total > limit:
                raise _refused("too_many_bytes", f"got at least {total} bytes; expected at most {limit}")
        if time.monotonic() >= until:  # the timer ends a slow answer as if it had been complete
            raise _RefusedError(self._late())
        if stated.isdigit() and total < int(stated):
            raise _refused("truncated", f"got {total} bytes of {stated[:20]} announced")
        return b"".join(parts)

    def _allowed(self, parts: SplitResult) -> int:
        """Check host and port against the list; give the port."""
        host = str(parts.hostname).rstrip(".").lower()
        usual = _PORTS[parts.scheme]
        port = parts.port or usual
        names = {host, *(f"*.{host.split('.', n)[n]}" for n in range(1, host.count(".") + 1))}
        wanted = names if port == usual else {f"{name}:{port}" for name in names}
        if not wanted & self.hosts:
            raise _refused("host_not_allowed", "got a host or port that the settings do not allow")
        return port

    def _resolve(self, host: str, port: int, hop: int, until: float) -> str:
        """Give an address to connect to, after checking every answer."""
        if self._resolvers is None:
            self._resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")
        asked = self._resolvers.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            answers = asked.result(timeout=max(0.0, until - time.monotonic()))
        except LateError:
            raise _RefusedError(self._late()) from None
        except (OSError, UnicodeError):
            raise _refused("not_reached", "got no address for the host of the photo") from None
        found = [str(answer[4][0]) for answer in answers]
        refused = [ip for ip in found if not is_public(ip) and not (hop == 0 and ip in self._first_hop)]
        if refused or not found:  # one private answer among public ones is an attack, not a mistake
            raise _refused("address_refused", "got a host whose address is not a public one")
        return found[0]

    def _late(self) -> Unusable:
        return Unusable("too_slow", f"got no complete photo within {self.limits.seconds:g} seconds")


def is_public(ip: str) -> bool:
    """Say whether an address belongs to the public internet, looking through the ways to wrap an IPv4 into an IPv6."""
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
    return address.is_global and not address.is_multicast and not address.is_reserved


class _Connection:
    """One connection to a checked address; everything on it ends when the time is over.

    A timeout of the socket starts anew with each byte, so a server that sends a byte a second would never meet it:
    a timer shuts the connection whatever it is doing.
    """

    def __init__(self, parts: SplitResult, port: int, ip: str, until: float) -> None:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._host = parts.netloc
        self._connection = http.client.HTTPConnection(str(parts.hostname), port, timeout=left)
        plain = socket.create_connection((ip, port), timeout=left)
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._shut)
        self._timer.daemon = True
        self._socket = plain
        self._timer.start()
        try:
            if parts.scheme == "https":
                self._socket = ssl.create_default_context().wrap_socket(plain, server_hostname=parts.hostname)
        except BaseException:
            self._timer.cancel()
            plain.close()
            raise
        self._connection.sock = self._socket

    def ask(self) -> http.client.HTTPResponse:
        headers = {
            "Host": self._host,
            "Accept": "image/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        self._connection.request("GET", self._path, headers={**headers, "User-Agent": "listing-risk"})
        return self._connection.getresponse()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> _Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._connection.close()


def _parts(address: str) -> SplitResult:
    if len(address) > 4_096 or re.search(r"[\x00-\x20\x7f\\]", address):
        raise _refused("not_reached", "got an address with blanks, control signs or too many characters")
    try:
        parts = urlsplit(address)
        _ = parts.port
        address.encode("ascii")
    except ValueError:
        raise _refused(
            "not_reached", "got an address that cannot be read; write it in ASCII (punycode, %xx)"
        ) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise _refused("host_not_allowed", "got an address that is neither http nor https")
    if parts.username is not None or parts.password is not None:
        raise _refused("host_not_allowed", "got an address with a user name; expected one without")
    return parts


def _refused(reason: Reason, detail: str) -> _RefusedError:
    return _RefusedError(Unusable(reason, detail))
