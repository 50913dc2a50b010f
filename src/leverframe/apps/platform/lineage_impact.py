"""From what a change reaches to what a person has to know and do: a sentence, the owners, the endpoints and the commands in order."""

from collections import Counter
from collections.abc import Sequence

from leverframe.apps.platform.views.lineage import ImpactView, Served
from leverframe.core.lineage import Change, Graph, Hit, NodeKind, impact

_WORDS: dict[NodeKind, tuple[str, str]] = {
    "column": ("column", "columns"),
    "feature": ("feature", "features"),
    "service_feature": ("service feature", "service features"),
    "model": ("model", "models"),
    "version": ("version", "versions"),
    "endpoint": ("live endpoint", "live endpoints"),
}
"""What is counted in the sentence, in this order."""


def impact_view(graph: Graph, starts: Sequence[str], change: Change, at_us: int) -> ImpactView:
    """Everything to be said about a change of the columns with the node ids ``starts``."""
    hits = impact(graph, starts, change)
    columns = tuple(graph.nodes[start].name for start in starts)
    endpoints = _served(graph, hits)
    return ImpactView(
        columns=columns,
        change=change,
        at_us=at_us,
        sentence=_sentence(columns, change, hits),
        hits=hits,
        endpoints=endpoints,
        owners=_owners(hits),
        commands=_commands(starts, hits, endpoints),
    )


def _sentence(columns: Sequence[str], change: Change, hits: Sequence[Hit]) -> str:
    named = ", ".join(columns)
    if not hits:
        return f"Nothing uses {named}: it can be changed freely."
    done = {"remove": "removing", "rename": "renaming", "retype": "changing the type of"}[change]
    broken = [hit for hit in hits if hit.breaks]
    counted = Counter(hit.node.kind for hit in (broken or hits))
    things = [f"{counted[kind]} {one if counted[kind] == 1 else many}" for kind, (one, many) in _WORDS.items() if counted[kind]]
    listed = " and ".join([", ".join(things[:-1]), things[-1]] if len(things) > 1 else things)
    if not broken:
        return f"{done.capitalize()} {named} breaks nothing for certain; {listed} must be looked at."
    return f"{done.capitalize()} {named} breaks {listed}."


def _served(graph: Graph, hits: Sequence[Hit]) -> tuple[Served, ...]:
    """Each arm whose version loses inputs, and which."""
    broken = {hit.node.id for hit in hits if hit.breaks}
    found = []
    for endpoint in (hit.node for hit in hits if hit.breaks and hit.node.kind == "endpoint"):
        environment, _, name = endpoint.name.partition("/")
        for arm in (edge for edge in graph.entering(endpoint.id) if edge.source in broken):
            inputs = [edge for edge in graph.entering(arm.source) if edge.column]
            lost = {edge.column for edge in inputs if edge.source in broken}
            served = Served(
                environment=environment,
                endpoint=name,
                version=graph.nodes[arm.source].name,
                arm=arm.how,
                weight=arm.weight,
                lost=tuple(sorted(lost)),
                inputs=len({edge.column for edge in inputs}),
            )
            found.append(served)
    return tuple(found)


def _owners(hits: Sequence[Hit]) -> dict[str, tuple[str, ...]]:
    """Who has to be told, and of what. Versions are their model's, inputs too: nobody needs to read the same thing thrice."""
    told: dict[str, dict[str, None]] = {}
    for hit in hits:
        node = hit.node
        what = {"feature": "view", "service_feature": "service", "model": "model"}.get(node.kind)
        if what and (node.owner or node.team):
            told.setdefault(node.owner or f"team {node.team}", {})[f"{what} {node.group}"] = None
    return {owner: tuple(things) for owner, things in sorted(told.items())}


def _commands(starts: Sequence[str], hits: Sequence[Hit], endpoints: Sequence[Served]) -> tuple[str, ...]:
    """What to type, in the order that keeps endpoints answering; empty where nothing is reached."""
    if not hits:
        return ()
    models = sorted({hit.node.group for hit in hits if hit.node.kind == "model"})
    lines = [f"lever lineage {start}" for start in starts]
    lines += ["lever plan PROJECT_DIR", "lever apply PROJECT_DIR"]
    lines += [f"lever train {model}" for model in models]
    lines += [f"lever release plan {model}@vN" for model in models]
    # The column has to stay until no version that reads it answers: the history says when that is.
    lines += [f"lever history {served.endpoint}" for served in endpoints]
    return tuple(dict.fromkeys(lines))
