"""The model repository as protocols see it: what is loaded, and what asking for a load or an unload comes to; the same at every door.

What is loaded follows from the signed route table and from nothing else. A load of what answers already has nothing left to do and
succeeds; any other load, and every unload, is refused, and the next step is the release that would bring it about.

Source: Triton's model repository extension (index, load, unload).
"""

from collections.abc import Mapping
from typing import Any

from leverframe.core.errors import Refused
from leverframe.core.route import Caller, Endpoint
from leverframe.serving.doors.permission import ANYONE
from leverframe.serving.routes.routing import CompiledEndpoint, CompiledRoutes

READY, UNAVAILABLE = "READY", "UNAVAILABLE"
REASON_CHARS_MAX = 400


def index(routes: CompiledRoutes, caller: Caller, *, ready_only: bool = False) -> list[dict[str, str]]:
    """Every version of every endpoint that ``caller`` may use: ``name``, ``version``, ``state`` and ``reason``.

    A version that the route table names and that could not be loaded is ``UNAVAILABLE``, with the reason.
    """
    entries: list[dict[str, str]] = []
    for endpoint in routes.table.endpoints:
        if not may_use(caller, endpoint):
            continue
        served = routes.endpoints.get(endpoint.name)
        arms = served.arms if served is not None else ()
        entries += [{"name": endpoint.name, "version": arm.version, "state": READY, "reason": arm.arm.role} for arm in arms]
        loaded = {arm.version for arm in arms}
        problem = routes.problems.get(endpoint.name, "")[:REASON_CHARS_MAX]
        if problem and not ready_only:
            wanted = [arm.version for arm in endpoint.arms if arm.version not in loaded]
            entries += [{"name": endpoint.name, "version": name, "state": UNAVAILABLE, "reason": problem} for name in wanted]
    return entries


def may_use(caller: Caller, endpoint: Endpoint) -> bool:
    """Whether ``endpoint`` is one of the caller's."""
    if caller is ANYONE:
        return True
    return caller.tenant == endpoint.tenant and ("*" in caller.endpoints or endpoint.name in caller.endpoints)


def load(routes: CompiledRoutes, endpoint: CompiledEndpoint, parameters: Mapping[str, Any]) -> None:
    """Return when ``endpoint`` answers as routed: there is nothing to load.

    Parameters
    ----------
    endpoint: one that the caller may use.
    parameters: of the request; a configuration or files of the caller's own are never taken.

    Raises
    ------
    Refused: the caller brings a model of its own, or the routed version could not be loaded.
    """
    name = endpoint.record.name
    if parameters:
        raise Refused(
            "models come from signed bundles, not from requests",
            where=name,
            expected="a load without parameters",
            got=", ".join(sorted(map(str, parameters)))[:100],
            next_step=_release(name),
        )
    if name in routes.problems:
        raise Refused(
            f"the routed version could not be loaded: {routes.problems[name][:REASON_CHARS_MAX]}",
            where=name,
            expected="a bundle that loads",
            got=f"{endpoint.live.version} is still served",
            next_step=f"{_release(name)}, or lever rollback {name}",
        )


def unload(endpoint: CompiledEndpoint) -> Refused:
    """Why ``endpoint`` is not unloaded: it would take an answering model from everybody who asks it."""
    name = endpoint.record.name
    return Refused(
        "models are not unloaded by callers",
        where=name,
        expected="a signed route table without it",
        got=f"{endpoint.live.version} is routed",
        next_step=f"lever kill {name} to stop it answering, or lever rollback {name}",
    )


def not_routed(name: str) -> Refused:
    """Why a model that no route names is not loaded (or unloaded); the same words for another tenant's."""
    return Refused(
        "no such model is routed, and callers do not load models",
        where=name[:100],
        expected="an endpoint of this environment's route table",
        got="none of that name for this caller",
        next_step=_release(name[:100]),
    )


def _release(name: str) -> str:
    return f"lever release plan {name}"
