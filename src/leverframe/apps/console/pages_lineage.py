"""The pages of lineage: the whole installation, one thing with everything around it, and what a changed column breaks."""

from typing import Any

from leverframe.apps.console.door import Page, Visit
from leverframe.apps.console.lineage_svg import draw, drawable, lineage_address
from leverframe.core.errors import InvalidInput
from leverframe.core.lineage import Change, Edge, Graph, Node, graph_of

CHANGES: dict[Change, str] = {"remove": "removed", "rename": "renamed", "retype": "given another type"}
ROWS_MAX = 1_000
_GROUP_WORDS = {"column": "dataset", "feature": "view", "service_feature": "service", "input": "model", "model": "model"}
_GROUP_TITLES = {
    "source": "sources",
    "column": "datasets",
    "feature": "views",
    "service_feature": "services",
    "model": "models",
    "version": "versions that answer",
}


def lineage(visit: Visit) -> dict[str, Any]:
    """Everything, a row a thing."""
    at, at_us = visit.query.get("at", "").strip(), visit.moment("at")
    graph, _ = visit.platform.lineage.graph(at_us)
    whole = whole_of(graph)
    chart = draw(whole, (), "lineage of everything", captions=False) if drawable(whole) else None
    return {"chart": chart, "things": sorted(whole.nodes.values(), key=lambda n: n.id), "at": at, "address": lineage_address}


def thing(visit: Visit) -> dict[str, Any]:
    """One thing: the drawing, the table of its edges, and for a column what a change of it breaks."""
    named = visit.path["thing"].replace("~", "/")
    at, at_us = visit.query.get("at", "").strip(), visit.moment("at")
    shown = visit.platform.lineage.of(named, at_us)
    graph = graph_of(shown.nodes, shown.edges)
    column = next((graph.nodes[id].name for id in shown.focus if id.startswith("column/")), "") if len(shown.focus) == 1 else ""
    asked = visit.query.get("change", "")
    change = next((known for known in CHANGES if known == asked), None)
    if asked and change is None:
        raise InvalidInput("not a change", where="change", expected=", ".join(CHANGES), got=asked[:40])
    return {
        "shown": shown,
        "title": graph.nodes[shown.focus[0]].name if len(shown.focus) == 1 else named.partition("/")[2] or named,
        "chart": draw(graph, shown.focus, f"lineage of {named}") if drawable(graph) else None,
        "edges": [(graph.nodes[e.source], graph.nodes[e.target], e) for e in shown.edges[:ROWS_MAX]],
        "left_out": max(0, len(shown.edges) - ROWS_MAX),
        "focus": [graph.nodes[id] for id in shown.focus],
        "column": column,
        "impact": visit.platform.lineage.impact((column,), change, at_us) if column and change else None,
        "changes": CHANGES,
        "change": change,
        "at": at,
        "address": lineage_address,
    }


def whole_of(graph: Graph) -> Graph:
    """The graph with one node for each dataset, view, service and model; of versions only those that answer somewhere."""
    serving = {edge.source for edge in graph.edges if edge.role == "serves"}
    moved: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    for node in graph.nodes.values():
        if node.kind == "version" and node.id not in serving:
            continue
        id = f"{_GROUP_WORDS[node.kind]}/{node.group}" if node.kind in _GROUP_WORDS else node.id
        moved[node.id] = id
        kind = "model" if node.kind == "input" else node.kind
        name = node.name if node.kind in ("version", "endpoint") else node.group
        group = node.group if node.kind == "endpoint" else _GROUP_TITLES[kind]
        nodes.setdefault(id, Node(id=id, kind=kind, name=name, group=group, owner=node.owner, team=node.team))
    edges = {
        Edge(
            source=moved[e.source],
            target=moved[e.target],
            role="serves" if e.role == "serves" else "input",
            how=e.how if e.role == "serves" else "",
        )
        for e in graph.edges
        if e.source in moved and e.target in moved and moved[e.source] != moved[e.target]
    }
    return graph_of(nodes.values(), edges)


PAGES: tuple[Page, ...] = (
    Page(path="/lineage", permission="Lineage.Read", template="lineage.html", facts=lineage),
    Page(path="/lineage/{thing}", permission="Lineage.Read", template="lineage_thing.html", facts=thing),
)
