"""Who is asking."""

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated subject: a person (``human``), a service, or the platform itself."""

    subject: str
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    kind: str = "human"


PLATFORM = Actor(subject="platform", roles=("platform",), teams=("*",), kind="platform")
"""The platform acting by its own rules (a release controller, a monitor); its acts are authorised and audited like any other."""
