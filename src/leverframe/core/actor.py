"""Who is asking."""

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated subject: a person (``human``), a service, or the platform itself."""

    subject: str
    roles: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    kind: str = "human"


EVERY_TEAM = "*"
"""Stands for all teams: in a token, of whoever may act for each; as the team of a thing, of what is about all of them at once."""

PLATFORM = Actor(subject="platform", roles=("platform",), teams=(EVERY_TEAM,), kind="platform")
"""The platform acting by its own rules (a release controller, a monitor); its acts are authorised and audited like any other."""
