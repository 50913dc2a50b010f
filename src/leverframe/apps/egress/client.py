"""The client: one POST to a listed host at a checked address, with bounds on everything, signed with the installation's key.

Signatures: Standard Webhooks (https://www.standardwebhooks.com), scheme ``v1a`` (Ed25519 over ``id.timestamp.body``). A receiver needs the
installation's public key (``keys/signing.pub``) and no shared secret, so there is none to leak.
"""

import base64
import ssl
import time
from collections.abc import Callable, Mapping, Sequence

import httpx
import msgspec

from leverframe import __version__
from leverframe.apps.egress.addresses import Network, Resolve, pinned, resolve
from leverframe.apps.egress.destination import Allowed, Destination, check_allowed, parse_destination
from leverframe.core.errors import LimitExceeded, Unavailable
from leverframe.governance.signing import SigningKey

BODY_BYTES_MAX = 1024 * 1024
ANSWER_BYTES_MAX = 64 * 1024
"""More of an answer is not read: nothing in it matters but the status."""
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
