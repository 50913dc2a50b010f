"""Where each box and row of a lineage graph is drawn: layers from left to right, crossings few.

Rows move towards the mean height of what they are joined to, layer by layer, back and forth (the barycentre method: Sugiyama, Tagawa and
Toda, 1981, "Methods for visual understanding of hierarchical system structures").
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

import msgspec

from leverframe.core.lineage import Edge, Node, NodeKind

BOX_WIDTH, LAYER_GAP = 196, 84
ROW_HEIGHT, HEAD_HEIGHT, BOX_GAP, MARGIN = 24, 30, 18, 14
SWEEPS = 6

LAYER_OF: Mapping[NodeKind, int] = {
    "source": 0,
    "column": 1,
    "feature": 2,
    "service_feature": 3,
    "input": 4,
    "model": 5,
    "version": 5,
    "endpoint": 6,
}
LAYER_WORDS = ("Sources", "Datasets", "Feature views", "Services", "Inputs", "Models", "Endpoints")


class Box(msgspec.Struct, frozen=True, kw_only=True):
    """A group of nodes drawn as one box: its title, its left upper corner, and its rows from top to bottom."""

    title: str
    layer: int
    x: float
    y: float
    height: float
    rows: tuple[Node, ...]


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """All boxes, the size of the whole, and the middle of each row by node id."""

    boxes: tuple[Box, ...]
    width: float
    height: float
    middles: dict[str, tuple[float, float]]


def lay_out(nodes: Sequence[Node], edges: Sequence[Edge]) -> Layout:
    """The drawing of these nodes; every edge runs from left to right, since layers follow the kinds."""
    layers = _layers(nodes)
    beside = _neighbours(edges)
    heights: dict[str, float] = {}
    for groups in layers:
        _stack(groups, heights)
    for sweep in range(SWEEPS):
        for groups in layers if sweep % 2 == 0 else reversed(layers):
            _sort(groups, beside, heights)
            _stack(groups, heights)
    tall = max((_height(groups) for groups in layers), default=0.0)
    boxes: list[Box] = []
    middles: dict[str, tuple[float, float]] = {}
    for column, groups in enumerate(layers):
        x = MARGIN + column * (BOX_WIDTH + LAYER_GAP)
        y = MARGIN + HEAD_HEIGHT + (tall - _height(groups)) / 2
        for title, rows in groups:
            height = HEAD_HEIGHT + ROW_HEIGHT * len(rows)
            boxes.append(Box(title=title, layer=LAYER_OF[rows[0].kind], x=x, y=y, height=height, rows=tuple(rows)))
            for place, row in enumerate(rows):
                middles[row.id] = (x, y + HEAD_HEIGHT + ROW_HEIGHT * (place + 0.5))
            y += height + BOX_GAP
    width = 2 * MARGIN + len(layers) * BOX_WIDTH + max(0, len(layers) - 1) * LAYER_GAP
    return Layout(boxes=tuple(boxes), width=width, height=2 * MARGIN + HEAD_HEIGHT + tall, middles=middles)


_Groups = list[tuple[str, list[Node]]]


def _layers(nodes: Iterable[Node]) -> list[_Groups]:
    """Layers that are not empty, each a list of (group, rows)."""
    found: defaultdict[int, dict[str, list[Node]]] = defaultdict(dict)
    for node in sorted(nodes, key=lambda n: (n.group, n.name)):
        found[LAYER_OF[node.kind]].setdefault(node.group, []).append(node)
    return [list(found[layer].items()) for layer in sorted(found)]


def _neighbours(edges: Iterable[Edge]) -> dict[str, list[str]]:
    beside: defaultdict[str, list[str]] = defaultdict(list)
    for edge in edges:
        beside[edge.source].append(edge.target)
        beside[edge.target].append(edge.source)
    return dict(beside)


def _stack(groups: _Groups, heights: dict[str, float]) -> None:
    """Rows from top to bottom, centred on 0."""
    y = -_height(groups) / 2
    for _, rows in groups:
        y += HEAD_HEIGHT
        for row in rows:
            heights[row.id] = y + ROW_HEIGHT / 2
            y += ROW_HEIGHT
        y += BOX_GAP


def _sort(groups: _Groups, beside: Mapping[str, Sequence[str]], heights: Mapping[str, float]) -> None:
    wished = {row.id: _wish(row.id, beside, heights) for _, rows in groups for row in rows}
    for _, rows in groups:
        # Versions keep their order of birth: people look for the newest at the bottom.
        if rows[0].kind not in ("model", "version"):
            rows.sort(key=lambda row: (wished[row.id], row.name))
    groups.sort(key=lambda group: (fmean(wished[row.id] for row in group[1]), group[0]))


def _wish(id: str, beside: Mapping[str, Sequence[str]], heights: Mapping[str, float]) -> float:
    return fmean(heights[other] for other in beside[id]) if id in beside else heights[id]


def _height(groups: _Groups) -> float:
    return sum(HEAD_HEIGHT + ROW_HEIGHT * len(rows) for _, rows in groups) + BOX_GAP * max(0, len(groups) - 1)
