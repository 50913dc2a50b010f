"""Which IP addresses may be connected to: the public ones, and those inside that the operator named."""

import ipaddress
import socket
from collections.abc import Callable, Sequence

from leverframe.core.errors import Forbidden, InvalidInput, Unavailable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

ADDRESSES_MAX = 16
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def parse_networks(entries: str) -> tuple[Network, ...]:
    """``127.0.0.0/8, 10.1.0.0/16``: the inside addresses that may be reached.

    Raises
    ------
    InvalidInput: an entry is no network.
    """
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in entries.split(",") if part.strip())
    except ValueError as error:
        raise InvalidInput(
            "not a list of networks", where="LEVER_EGRESS_NETWORKS", expected="10.1.0.0/16, fd00::/8", got=str(error)
        ) from error


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses the system's resolver has for ``host``.

    Raises
    ------
    Unavailable: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Unavailable("the name has no address", where=host, next_step="check the name, and this host's resolver") from error
    return [str(address[4][0]) for address in found]


def pinned(host: str, port: int, networks: Sequence[Network], resolve: Resolve = resolve) -> tuple[str, ...]:
    """The addresses to connect to, looked up once, so that no second answer of the resolver can replace them (DNS rebinding).

    One address of many that may not be reached refuses them all: a name that is public and private at once is an attack or a mistake.

    Raises
    ------
    Forbidden: one of them is private, link-local, loopback, multicast, reserved or a cloud's metadata.    Unavailable: there is none.
    """
    found = tuple(dict.fromkeys(resolve(host, port)))[:ADDRESSES_MAX]
    if not found:
        raise Unavailable("the name has no address", where=host)
    for text in found:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not reachable(address, networks):
            raise Forbidden(
                "this address lies inside the network, or is nobody's",
                where=host,
                expected="a public address, or one of LEVER_EGRESS_NETWORKS",
                got=str(address),
                next_step="ask the platform's operator; nothing was sent",
            )
    return found


def reachable(address: Address, networks: Sequence[Network]) -> bool:
    """Whether ``address``, and every IPv4 address hidden inside it, is public or named.

    >>> import ipaddress
    >>> [reachable(ipaddress.ip_address(a), ()) for a in ("1.1.1.1", "169.254.169.254", "::ffff:127.0.0.1", "2002:7f00:1::")]
    [True, False, False, False]
    """
    return all(_named(each, networks) or _public(each) for each in (address, *_inside(address)))


def _inside(address: Address) -> list[Address]:
    """IPv4 addresses that an IPv6 address stands for: mapped, 6to4, Teredo, NAT64."""
    if isinstance(address, ipaddress.IPv4Address):
        return []
    hidden: list[Address | None] = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in hidden if each is not None]


def _public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return True  # It is judged by the address inside.
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _named(address: Address, networks: Sequence[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
