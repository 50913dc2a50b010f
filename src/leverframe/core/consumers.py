"""Who would lose something if columns of a dataset went: read off the lineage graph, from features down to the endpoints."""

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from leverframe.core.lineage import Graph, Node, NodeKind, impact

EVERY_COLUMN = "*"
_WORDS: dict[NodeKind, str] = {"feature": "feature", "service_feature": "service", "model": "model", "endpoint": "endpoint"}
"""The kinds that have an owner to be told, upstream first. An input is its model's, and a version matters where it answers."""
T = TypeVar("T", bound=msgspec.Struct)


class Consumer(msgspec.Struct, frozen=True, kw_only=True):
    """One reader: ``name`` with its kind before it (``feature weather.wind``), and what it reads of what changes."""

    name: str
    through: str


class Finds(Protocol):
    """Whoever reads the ledger's records: a transaction, or the ledger itself."""

    def find(self, kind: str, type: type[T], *, prefix: str = "") -> list[T]:
        """All current records of ``kind``."""
        ...


class Readers(Protocol):
    """Whoever knows the lineage of what the ledger declares."""

    def __call__(self, ledger: Finds, dataset: str, columns: Iterable[str]) -> tuple[Consumer, ...]:
        """Everyone who loses something with ``columns`` of ``dataset`` (``*``: any of them)."""
        ...


def consumers_of(graph: Graph, dataset: str, columns: Iterable[str]) -> tuple[Consumer, ...]:
    """Everyone who loses something when ``columns`` of ``dataset`` go; ``*`` among them means any column.

    Returns
    -------
    tuple: features, services, models, endpoints, each with what it reads of the ones before. A model that can no longer be trained is
    among them; an endpoint only where the version that answers loses an input, not where it merely learned from the column.
    """
    wanted = frozenset(columns)
    starts = tuple(id for id, node in graph.nodes.items() if node.kind == "column" and node.group == dataset and _named(node, wanted))
    broken = {*starts, *(hit.node.id for hit in impact(graph, starts, "remove") if hit.breaks)}
    found: dict[str, dict[str, None]] = {}
    for kind, word in _WORDS.items():
        for id in sorted(broken):
            node = graph.nodes[id]
            if node.kind == kind and not (kind == "feature" and "@" in node.name):
                told = node.group if kind == "service_feature" else node.name
                found.setdefault(f"{word} {told}", {}).update(dict.fromkeys(_sources(graph, id, broken)))
    return tuple(Consumer(name=name, through=", ".join(through)) for name, through in found.items())


def _named(node: Node, wanted: frozenset[str]) -> bool:
    return EVERY_COLUMN in wanted or node.name.removeprefix(f"{node.group}.") in wanted


def _sources(graph: Graph, id: str, broken: set[str]) -> Iterator[str]:
    """The names of what ``id`` loses directly; a model loses it through its inputs."""
    for edge in graph.entering(id):
        if edge.source in broken:
            node = graph.nodes[edge.source]
            if node.kind == "input":
                yield from _sources(graph, node.id, broken)
            else:
                yield node.name
