"""The client: one exchange with a listed host at a checked address, with bounds on everything. Messages are signed with our key.

Signatures: Standard Webhooks (https://www.standardwebhooks.com), scheme ``v1a`` (Ed25519 over ``id.timestamp.body``). A receiver needs the
installation's public key (``keys/signing.pub``) and no shared secret, so there is none to leak.
"""

import base64
import io
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

import httpx
import msgspec

from leverframe import __version__
from leverframe.apps.egress.addresses import Network, Resolve, parse_networks, pinned, resolve
from leverframe.apps.egress.destination import Allowed, Destination, check_allowed, parse_allowed, parse_destination
from leverframe.apps.settings import Settings
from leverframe.core.errors import LimitExceeded, NotFound, Unavailable
from leverframe.governance.signing import SigningKey

BODY_BYTES_MAX = 1024 * 1024
ANSWER_BYTES_MAX = 64 * 1024
"""More of an answer is not read: nothing in it matters but the status."""
REPLY_BYTES_MAX = 4 * 1024 * 1024
"""Of an answer that matters, such as a page of a registry."""
FETCH_S = 300.0
"""The longest that one answer may take to arrive whole."""
CONNECT_S, READ_S, WHOLE_S = 5.0, 10.0, 20.0
TRIED_MAX = 3
"""Addresses of one name that are tried when connecting fails."""
RETRY_AFTER_S_MAX = 3_600


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side said: its status, and the seconds it asked to be left alone for (0: it did not)."""

    status: int
    retry_after_s: int = 0

    @property
    def taken(self) -> bool:
        """Whether the message was accepted. A redirect is no acceptance: it is never followed."""
        return 200 <= self.status < 300

    @property
    def gone(self) -> bool:
        """Whether the receiver says that it wants nothing more (410)."""
        return self.status == 410


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer that was read whole."""

    status: int
    body: bytes


class Egress:
    """Sends to hosts of ``allowed`` at public addresses, or at those of ``networks``.

    Parameters
    ----------
    key: signs what is sent.    authorities: a PEM file of further certificate authorities; empty: the usual ones only.
    resolve: another resolver (tests).    clock: seconds since 1970, for timestamps.
    """

    def __init__(
        self,
        allowed: Sequence[Allowed],
        networks: Sequence[Network],
        key: SigningKey,
        *,
        authorities: str = "",
        resolve: Resolve = resolve,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._allowed = allowed
        self._networks = networks
        self._key = key
        self._resolve = resolve
        self._clock = clock
        context = ssl.create_default_context()
        if authorities:
            context.load_verify_locations(authorities)
        limits = httpx.Timeout(READ_S, connect=CONNECT_S)
        # trust_env: a proxy or a certificate file named by the environment must not decide where bodies go.
        self._http = httpx.Client(verify=context, timeout=limits, trust_env=False, follow_redirects=False)

    @classmethod
    def by_settings(cls, settings: Settings, key: SigningKey) -> "Egress":
        """The client that an installation's settings allow.

        Raises
        ------
        InvalidInput: a setting is no list of hosts or networks.
        """
        allowed, networks = parse_allowed(settings.egress_hosts), parse_networks(settings.egress_networks)
        return cls(allowed, networks, key, authorities=settings.egress_ca_file)

    def post(self, url: str, id: str, body: bytes, content_type: str) -> Answer:
        """Send ``body`` once; ``id`` is the same at every attempt, so that a receiver can tell repeats.

        Raises
        ------
        InvalidInput, Forbidden: nothing may be sent there.    Unavailable: no answer; the outcome is unknown.
        LimitExceeded: the body is too large.
        """
        if len(body) > BODY_BYTES_MAX:
            raise LimitExceeded("too large to be sent", where=id, expected=f"{BODY_BYTES_MAX} bytes", got=str(len(body)))
        destination = check_allowed(parse_destination(url), self._allowed)
        addresses = pinned(destination.host, destination.port, self._networks, self._resolve)
        headers = {"Host": destination.authority, "Content-Type": content_type, "User-Agent": f"Leverframe/{__version__}"}
        headers |= self._signed(id, body)
        failure: Exception | None = None
        for address in addresses[:TRIED_MAX]:
            try:
                return self._once(destination, address, body, headers)
            except httpx.ConnectError as error:
                failure = error
            except httpx.HTTPError as error:
                raise Unavailable("no answer", where=destination.shown, got=type(error).__name__) from error
        got = "a certificate that is not trusted for it" if "CERTIFICATE" in str(failure) else "no connection"
        raise Unavailable("nobody answers there", where=destination.shown, got=got) from failure

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """Send a request whose answer matters, and read it whole.

        Raises
        ------
        InvalidInput, Forbidden: nothing may be sent there.    Unavailable: no answer.    LimitExceeded: body or answer is too large.
        """
        read = io.BytesIO()
        status = self._exchange(method, url, headers, body, read, REPLY_BYTES_MAX)
        return Reply(status=status, body=read.getvalue())

    def fetch(self, url: str, headers: Mapping[str, str], into: BinaryIO, bytes_max: int) -> int:
        """Write what lies at ``url`` into ``into``; how many bytes there were.

        Raises
        ------
        As :meth:`ask`, and NotFound: the other side has nothing there.
        """
        before = into.tell()
        status = self._exchange("GET", url, headers, b"", into, bytes_max)
        if status != 200:
            raise NotFound("nothing is handed out there", where=parse_destination(url).shown, got=str(status))
        return into.tell() - before

    def _exchange(self, method: str, url: str, headers: Mapping[str, str], body: bytes, into: BinaryIO, bytes_max: int) -> int:
        if len(body) > BODY_BYTES_MAX:
            raise LimitExceeded("too large to be sent", where=method, expected=f"{BODY_BYTES_MAX} bytes", got=str(len(body)))
        destination = check_allowed(parse_destination(url), self._allowed)
        addresses = pinned(destination.host, destination.port, self._networks, self._resolve)
        told = {**headers, "Host": destination.authority, "User-Agent": f"Leverframe/{__version__}", "Accept-Encoding": "identity"}
        told |= {"Content-Type": "application/json"} if body else {}
        try:
            return self._read(method, destination, addresses[0], told, body, into, bytes_max)
        except httpx.HTTPError as error:
            raise Unavailable("no answer", where=destination.shown, got=type(error).__name__) from error

    def _read(
        self, method: str, destination: Destination, address: str, headers: Mapping[str, str], body: bytes, into: BinaryIO, bytes_max: int
    ) -> int:
        host = f"[{address}]" if ":" in address else address
        url = f"{destination.scheme}://{host}:{destination.port}{destination.target}"
        ends = time.monotonic() + FETCH_S
        extensions = {"sni_hostname": destination.host}
        with self._http.stream(method, url, content=body or None, headers=headers, extensions=extensions) as answer:
            read = 0
            for part in answer.iter_raw():
                read += len(part)
                if read > bytes_max:
                    raise LimitExceeded("the answer is too large", where=destination.shown, expected=f"at most {bytes_max} bytes")
                if time.monotonic() > ends:
                    raise Unavailable("the answer takes too long", where=destination.shown, expected=f"{FETCH_S:g} s")
                into.write(part)
            return answer.status_code

    def _once(self, destination: Destination, address: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        host = f"[{address}]" if ":" in address else address
        url = f"{destination.scheme}://{host}:{destination.port}{destination.target}"
        # The certificate is checked against the name; the connection goes to the address that was checked.
        extensions = {"sni_hostname": destination.host}
        ends = time.monotonic() + WHOLE_S
        with self._http.stream("POST", url, content=body, headers=headers, extensions=extensions) as answer:
            read = 0
            for part in answer.iter_raw():
                read += len(part)
                if read > ANSWER_BYTES_MAX or time.monotonic() > ends:
                    break
            after = answer.headers.get("Retry-After", "")
            return Answer(status=answer.status_code, retry_after_s=min(int(after), RETRY_AFTER_S_MAX) if after.isdecimal() else 0)

    def _signed(self, id: str, body: bytes) -> dict[str, str]:
        moment = str(int(self._clock()))
        signature = self._key.detached(f"{id}.{moment}.".encode() + body)
        return {"webhook-id": id, "webhook-timestamp": moment, "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}"}

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
