"""What the use cases of registries take and answer."""

from typing import Annotated

import msgspec


class RegistryRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A registered model to follow. Left empty, ``model`` is as ``source``, ``endpoint`` as ``model``, ``owner`` as ``team``."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=63)]
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    source: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    team: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    model: str = ""
    owner: str = ""
    environment: str = "prod"
    endpoint: str = ""
    strategy: str = "shadow_canary"
    watch: str = ""
    alias: str = "champion"
    risk_tier: str = "high"
    column: int = -1


class FollowedView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one version of a registry."""

    number: int
    version: str
    evaluated: str
    plan: str
    failure: str
    at_us: int


class RegistryView(msgspec.Struct, frozen=True, kw_only=True):
    """A followed registry: where it is, what it feeds, what became of its versions, and where its alias was pointed last (0: never)."""

    name: str
    host: str
    source: str
    model: str
    team: str
    environment: str
    endpoint: str
    watch: str
    alias: str
    by: str
    at_us: int
    followed: tuple[FollowedView, ...]
    alias_number: int = 0
    alias_version: str = ""
