"""Where values come from and who lives by them: one graph from registered sources and dataset columns to the endpoints that answer.

An edge points downstream, the way values flow. Two edges that share a node do not always belong to one flow: a version is joined to the
features it was *trained* with, a model to those its declaration names *today*, so neither leads to the other.
"""

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Literal

import msgspec

NodeKind = Literal["source", "column", "feature", "service_feature", "input", "model", "version", "endpoint"]
KINDS: tuple[NodeKind, ...] = ("source", "column", "feature", "service_feature", "input", "model", "version", "endpoint")
"""Every kind of node, upstream first."""

Role = Literal[
    "fetch",
    "expression",
    "aggregate",
    "filter",
    "key",
    "event_time",
    "arrival_time",
    "selection",
    "input",
    "request",
    "lookup",
    "prepare",
    "label",
    "time",
    "serves",
]
Change = Literal["remove", "rename", "retype"]

NODES_MAX = 50_000
"""A larger graph is cut where it is built, and the answer says so: nobody reads one."""


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in the graph. ``id`` is ``<kind>/<name>``; ``group`` is what it belongs to (source, dataset, view, service …).

    ``note`` says what a reader must know, for instance that a version was trained on a definition that has changed since.
    ``gone``: something uses it, and nothing declares it.
    """

    id: str
    kind: NodeKind
    name: str
    group: str
    owner: str = ""
    team: str = ""
    note: str = ""
    gone: bool = False


class Edge(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """``target`` uses ``source`` in ``role``; ``how`` is the text of it: the expression, the window, the share of traffic.

    ``column`` is the model's input column it becomes, where the target is a version, and the source's own column where it is fetched from
    one; ``weight`` the percent of an endpoint's traffic.
    """

    source: str
    target: str
    role: Role
    how: str = ""
    column: str = ""
    weight: float = 0.0


class Graph(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """Nodes by id, and the edges between them; both ends of every edge are nodes."""

    nodes: dict[str, Node]
    edges: tuple[Edge, ...]

    @cached_property
    def _leaving(self) -> Mapping[str, list[Edge]]:
        return _by(self.edges, "source")

    @cached_property
    def _entering(self) -> Mapping[str, list[Edge]]:
        return _by(self.edges, "target")

    def leaving(self, node: str) -> list[Edge]:
        """Edges to whatever uses ``node`` directly."""
        return self._leaving.get(node, [])

    def entering(self, node: str) -> list[Edge]:
        """Edges from whatever ``node`` uses directly."""
        return self._entering.get(node, [])

    def downstream(self, starts: Iterable[str]) -> dict[str, int]:
        """Everything that would notice a change of ``starts``: id to number of steps, nearest first (the starts with 0).

        >>> graph = graph_of([Node(id=i, kind="column", name=i, group="") for i in "abc"],
        ...                  [Edge(source="a", target="b", role="key"), Edge(source="b", target="c", role="key")])
        >>> graph.downstream(["a"]), graph.upstream(["b"])
        ({'a': 0, 'b': 1, 'c': 2}, {'b': 0, 'a': 1})
        """
        return _reach(starts, lambda node: (edge.target for edge in self.leaving(node)))

    def upstream(self, starts: Iterable[str]) -> dict[str, int]:
        """Everything the values of ``starts`` are made from, likewise."""
        return _reach(starts, lambda node: (edge.source for edge in self.entering(node)))

    def around(self, starts: Iterable[str]) -> "Graph":
        """The part of the graph that lies upstream or downstream of ``starts``, which is all that one page or one tree shows."""
        begin = tuple(starts)
        up, down = self.upstream(begin), self.downstream(begin)
        kept = {id: node for id, node in self.nodes.items() if id in up or id in down}
        # An edge between something upstream and something downstream that goes around the starts tells another story.
        edges = tuple(e for e in self.edges if (e.source in up and e.target in up) or (e.source in down and e.target in down))
        return Graph(nodes=kept, edges=edges)


class Hit(msgspec.Struct, frozen=True, kw_only=True):
    """One node that a change reaches: by which ``path`` of node ids from the changed column, and in which role it begins."""

    node: Node
    path: tuple[str, ...]
    role: Role
    how: str
    breaks: bool


def graph_of(nodes: Iterable[Node], edges: Iterable[Edge]) -> Graph:
    """A graph of these; the same edge twice is one, in a stable order, and an end that is no node is a programmer's fault."""
    by_id = {node.id: node for node in nodes}
    kept = tuple(sorted(set(edges)))
    assert all(edge.source in by_id and edge.target in by_id for edge in kept), "an edge ends nowhere"
    return Graph(nodes=by_id, edges=kept)


_BROKEN_BY_TYPE: frozenset[Role] = frozenset({"key", "event_time", "arrival_time", "lookup", "time"})
"""A key or a moment of another type does not compare; a number of another type usually still computes."""

_OF_THE_PAST: frozenset[Role] = frozenset({"request", "lookup", "prepare", "label", "time"})
"""Roles that columns of the questions played in training: who asks today brings them along, so a trained version goes on answering."""


def impact(graph: Graph, columns: Iterable[str], change: Change) -> tuple[Hit, ...]:
    """What a change of the columns with these node ids reaches, nearest first.

    ``breaks`` is true where the thing cannot be computed or served as it is afterwards. A column removed or renamed breaks whatever is made
    of it; one that gets another type breaks where it is a key or a moment, and elsewhere has to be looked at. A version that only
    *learned* from a column goes on answering; its model cannot be trained again as declared.
    """
    starts = tuple(columns)
    broken = _reach(starts, lambda node: (edge.target for edge in graph.leaving(node) if _carries(graph, edge, change, node in starts)))
    hits = []
    for path in _paths(graph, starts):
        last = next(edge for edge in graph.entering(path[-1]) if edge.source == path[-2])
        hits.append(Hit(node=graph.nodes[path[-1]], path=path, role=last.role, how=last.how, breaks=path[-1] in broken))
    return tuple(hits)


def _carries(graph: Graph, edge: Edge, change: Change, first: bool) -> bool:
    """Whether what breaks the source of ``edge`` breaks its target; ``first``: the source is the changed column itself."""
    if graph.nodes[edge.target].kind == "version" and edge.role in _OF_THE_PAST:
        return False
    return change != "retype" or not first or edge.role in _BROKEN_BY_TYPE


def _paths(graph: Graph, starts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """One shortest path to each node that is reached, the start first."""
    reached = graph.downstream(starts)
    before: dict[str, str] = {}
    for node in reached:
        for edge in graph.leaving(node):
            before.setdefault(edge.target, node)
    for node, steps in reached.items():
        path = [node]
        while len(path) <= steps:
            path.append(before[path[-1]])
        if steps:
            yield tuple(reversed(path))


def _by(edges: Iterable[Edge], end: Literal["source", "target"]) -> dict[str, list[Edge]]:
    found: defaultdict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        found[getattr(edge, end)].append(edge)
    return dict(found)


def _reach(starts: Iterable[str], neighbours: Callable[[str], Iterable[str]]) -> dict[str, int]:
    """Breadth first: node to number of steps."""
    steps = dict.fromkeys(starts, 0)
    waiting = deque(steps)
    while waiting:
        node = waiting.popleft()
        for other in neighbours(node):
            if other not in steps:
                steps[other] = steps[node] + 1
                waiting.append(other)
    return steps
