"""What the use cases of environments and team rules take and answer."""

from typing import Annotated, Literal

import msgspec

from leverframe.release.plans.team_rules import TeamRules


class PromoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Plan for environment ``to`` what is live at ``endpoint`` in the environment below it; ``strategy`` empty: what fits there."""

    endpoint: str
    to: str = "prod"
    strategy: Literal["", "initial", "canary", "shadow_canary", "blue_green"] = ""
    hash_field: str = ""
    note: str = ""


class TeamRulesRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of a team's release rules, and why they are changed."""

    rules: TeamRules
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]


class LiftRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why releases may start again after many rollbacks, and for how many hours."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=2000)]
    hours: Annotated[float, msgspec.Meta(gt=0, le=168)] = 24.0


class EnvironmentView(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint in one environment: what answers, which release is in charge and in what state, and whether releases may climb now.

    ``demands`` is what the environment below must have shown (empty: nothing is below); ``shut`` says why nothing climbs now.
    """

    environment: str
    demands: str
    live: str
    bundle: str
    release: str
    state: str
    started_us: int | None
    shut: str
    opens_us: int | None
