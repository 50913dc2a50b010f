"""Use cases of lineage: what a thing is made from, who lives by it, and what breaks if a column changes."""

import difflib
from typing import TypeVar

import msgspec

from leverframe.apps.platform.lineage_impact import impact_view
from leverframe.apps.platform.lineage_readers import build
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import ImpactView, LineageView
from leverframe.core.command import Journal
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.core.lineage import Change, Graph
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract

VERSIONS_MAX = 50
"""Versions of one model that are drawn, the newest first, besides those that are routed."""
SUGGESTIONS_MAX = 5

_GROUPS = {"dataset": "column", "view": "feature", "service": "service_feature"}
"""Things that are a group of nodes: how a person names them, and the kind of the nodes."""
_SINGLE = ("source", "column", "feature", "input", "version", "endpoint")
T = TypeVar("T", bound=msgspec.Struct)


class Past:
    """The ledger as it was at ``at_us`` (None: as it is)."""

    def __init__(self, ledger: Journal, at_us: int | None) -> None:
        self._ledger = ledger
        self._at_us = at_us

    def find(self, kind: str, type: type[T], *, prefix: str = "") -> list[T]:
        """All records of ``kind`` then."""
        return self._ledger.find(kind, type, prefix=prefix, at_us=self._at_us)


class Lineage:
    """The installation's lineage at any moment."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def graph(self, at_us: int | None = None) -> tuple[Graph, bool]:
        """The whole graph as of ``at_us`` (None: now), and whether it was cut at its bound."""
        parts = self._parts
        return build(Past(parts.ledger, at_us), parts.bundles.frozen, parts.settings.environment, versions_max=VERSIONS_MAX)

    def of(self, thing: str, at_us: int | None = None) -> LineageView:
        """What ``thing`` is made from and who lives by it.

        Parameters
        ----------
        thing: a source, dataset, dataset.column, view, view.feature, service, service.feature, model, model@v3, or environment/endpoint;
            where one word names several, with its kind before it: ``source:landing``, ``endpoint/prod/flight-delay``.

        Raises
        ------
        NotFound: there is no such thing then; the closest are named.    InvalidInput: the word names several things.
        """
        graph, cut = self.graph(at_us)
        focus = focus_of(graph, thing)
        part = graph.around(focus)
        moment_us = self._parts.clock.now_us() if at_us is None else at_us
        return LineageView(thing=thing, at_us=moment_us, focus=focus, nodes=tuple(part.nodes.values()), edges=part.edges, cut=cut)

    def impact(self, columns: tuple[str, ...], change: Change = "remove", at_us: int | None = None) -> ImpactView:
        """What breaks if these columns (``dataset.column``, ``source:NAME.column``, or a whole ``source:NAME``) go or change.

        Raises
        ------
        NotFound: a column is not known; the closest are named.
        """
        graph, _ = self.graph(at_us)
        starts = tuple(dict.fromkeys(start for column in columns for start in _changed(graph, column)))
        if self._own(graph, starts):
            # Whom a change of one's own data breaks is told, whichever team it is: it has to be named before the change (decision 0024).
            parts = self._parts.whole
            graph, _ = build(Past(parts.ledger, at_us), parts.bundles.frozen, parts.settings.environment, versions_max=VERSIONS_MAX)
        return impact_view(graph, starts, change, self._parts.clock.now_us() if at_us is None else at_us)

    def _own(self, graph: Graph, starts: tuple[str, ...]) -> bool:
        """Whether all these columns are of datasets that are there for whoever asks; a foreign view names columns of others, too."""
        held = {contract.dataset for contract in self._parts.ledger.find(KIND_CONTRACT, Contract)}
        return all(graph.nodes[start].kind == "column" and graph.nodes[start].group in held for start in starts)


def focus_of(graph: Graph, thing: str) -> tuple[str, ...]:
    """The node ids that a person means by ``thing``.

    Raises
    ------
    NotFound: none.    InvalidInput: it may mean several things.
    """
    named = _named(graph)
    thing = _spelled(thing)
    kind, _, rest = thing.partition("/")
    exact = [(what, ids) for (what, name), ids in named.items() if thing in (name, f"{what}/{name}")]
    # An endpoint of this installation's environment is also known by its name alone.
    exact += [(what, ids) for (what, name), ids in named.items() if what == "endpoint" and name.partition("/")[2] == thing]
    if len(exact) == 1:
        return exact[0][1]
    if exact:
        spelled = [spelling(what, name) for (what, name), ids in named.items() for found, same in exact if (what, ids) == (found, same)]
        raise InvalidInput("this names several things", where=thing, expected=" or ".join(spelled), next_step=f"lever lineage {spelled[0]}")
    names = [name for _, name in named] + [spelling(what, name) for what, name in named]
    close = difflib.get_close_matches(rest if kind in _GROUPS or kind in _SINGLE else thing, names, n=SUGGESTIONS_MAX, cutoff=0.5)
    raise NotFound(
        "there is no such thing to trace",
        where=thing[:200],
        expected=", ".join(close) or "a source, dataset, dataset.column, view, view.feature, service, model, model@v3 or endpoint",
        next_step=f"lever lineage {close[0]}" if close else "lever data list; lever features list; lever models list",
    )


def _spelled(thing: str) -> str:
    """``kind:name`` is ``kind/name``."""
    kind, colon, name = thing.partition(":")
    return f"{kind}/{name}" if colon and kind in (*_GROUPS, *_SINGLE, "model") else thing


def spelling(what: str, name: str) -> str:
    """The form of a name that can only mean this thing."""
    return f"{what}/{name}"


def _named(graph: Graph) -> dict[tuple[str, str], tuple[str, ...]]:
    """(kind as a person says it, name) to node ids. A model is its declaration together with its versions."""
    found: dict[tuple[str, str], list[str]] = {}
    groups = {kind: word for word, kind in _GROUPS.items()}
    for node in graph.nodes.values():
        if node.kind in groups and not (node.kind == "feature" and "@" in node.name):
            found.setdefault((groups[node.kind], node.group), []).append(node.id)
        if node.kind in ("model", "version"):
            found.setdefault(("model", node.group), []).append(node.id)
        if node.kind != "model":
            found.setdefault((node.kind, node.name), []).append(node.id)
    return {key: tuple(ids) for key, ids in found.items()}


def _changed(graph: Graph, named: str) -> tuple[str, ...]:
    """The node ids of what changes: a dataset's column, a whole source, or what is fetched from one of its columns."""
    spelled = _spelled(named)
    if spelled in graph.nodes and spelled.startswith("source/"):
        return (spelled,)
    source, _, column = spelled.rpartition(".")
    if source.startswith("source/") and source in graph.nodes:
        fed = tuple(edge.target for edge in graph.leaving(source) if edge.column == column)
        if fed:
            return fed
    return (_column(graph, named),)


def _column(graph: Graph, column: str) -> str:
    id = f"column/{column}"
    if id in graph.nodes:
        return id
    known = [node.name for node in graph.nodes.values() if node.kind == "column"]
    known += [f"source:{edge.source.partition('/')[2]}.{edge.column}" for edge in graph.edges if edge.role == "fetch"]
    close = difflib.get_close_matches(column, known, n=SUGGESTIONS_MAX, cutoff=0.5)
    raise NotFound(
        "no contract and no definition names this column",
        where=column[:200],
        expected=", ".join(close) or "<dataset>.<column>, source:<name> or source:<name>.<column>",
        next_step=f"lever lineage impact {close[0]}" if close else "lever data list",
    )
