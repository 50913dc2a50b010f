"""A lineage graph as inline SVG: boxes of rows, curves between them; the way through a row lights up when pointed at or focused.

That needs no program in the page: each row carries references to the curves and rows of its own way, which the style sheet shows on hover.
"""

from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import quote

from markupsafe import Markup, escape

from leverframe.apps.console.lineage_layout import BOX_WIDTH, LAYER_GAP, LAYER_WORDS, MARGIN, ROW_HEIGHT, Box, Layout, lay_out
from leverframe.core.lineage import Edge, Graph, Node

NODES_DRAWN_MAX, EDGES_DRAWN_MAX = 400, 3_000
"""A larger graph is a table only: a drawing of it would tell nobody anything."""
REFERENCES_MAX = 40_000
"""Curves and rows that all ways together refer to; beyond it a row lights up only what it is joined to directly."""
TITLE_CHARS, ROW_CHARS = 26, 27

_STROKES = {
    "key": "key",
    "lookup": "key",
    "event_time": "time",
    "arrival_time": "time",
    "time": "time",
    "label": "label",
    "filter": "filter",
    "prepare": "filter",
    "serves": "serves",
    "fetch": "fetch",
}


_INDEXES = {"dataset": "/data", "view": "/features", "service": "/services"}
"""Pages of boxes that hold whole things; a model's box is its own page either way."""


def lineage_address(id: str) -> str:
    """The page of a node or thing: its id with ``~`` for ``/``.

    >>> lineage_address("endpoint/prod/flight-delay")
    '/lineage/endpoint~prod~flight-delay'
    """
    return f"/lineage/{quote(id.replace('/', '~'), safe='@:~.')}"


def drawable(graph: Graph) -> bool:
    """Whether a drawing of ``graph`` would tell anybody anything."""
    return 0 < len(graph.nodes) <= NODES_DRAWN_MAX and len(graph.edges) <= EDGES_DRAWN_MAX


def draw(graph: Graph, focus: Sequence[str], described: str, *, captions: bool = True) -> Markup:
    """The drawing of ``graph``; ``focus`` are the node ids the page is about; ``captions`` name the layers above them."""
    nodes, edges = tuple(graph.nodes.values()), graph.edges
    layout = lay_out(nodes, edges)
    names = {node.id: f"n{place}" for place, node in enumerate(nodes)}
    curves = {edge: f"e{place}" for place, edge in enumerate(edges)}
    ways = _ways(graph, names, curves)
    parts = [f'<g class="edges">{"".join(_curve(edge, curves[edge], layout) for edge in edges)}</g>']
    heads: set[int] = set()
    for box in layout.boxes:
        if captions and box.layer not in heads:
            heads.add(box.layer)
            parts.append(f'<text class="layer" x="{box.x:g}" y="{MARGIN + 8}">{LAYER_WORDS[box.layer]}</text>')
        parts.append(_box(box))
    parts += [_row(graph, row, box, layout, names[row.id], ways[row.id], row.id in focus) for box in layout.boxes for row in box.rows]
    return Markup(  # noqa: S704 - built from numbers and escaped text
        f'<svg class="lineage" viewBox="0 0 {layout.width:g} {layout.height:g}" width="{layout.width:g}" role="group" '
        f'aria-label="{escape(described)}"><title>{escape(described)}</title>{"".join(parts)}</svg>'
    )


def _ways(graph: Graph, names: Mapping[str, str], curves: Mapping[Edge, str]) -> dict[str, list[str]]:
    """For each node the drawn ids of everything up- and downstream of it."""
    ways: dict[str, list[str]] = {}
    total = 0
    for id in graph.nodes:
        near = total > REFERENCES_MAX
        part = graph.around([id])
        edges = [e for e in part.edges if not near or id in (e.source, e.target)]
        ends = dict.fromkeys(end for e in edges for end in (e.source, e.target))
        ways[id] = [*(curves[e] for e in edges), *(names[end] for end in ends)]
        total += len(ways[id])
    return ways


def _curve(edge: Edge, name: str, layout: Layout) -> str:
    x1, y1 = layout.middles[edge.source]
    x2, y2 = layout.middles[edge.target]
    x1 += BOX_WIDTH
    bend = max(40.0, (x2 - x1) * 0.5)
    path = f"M{x1:g} {y1:.1f}C{x1 + bend:g} {y1:.1f} {x2 - bend:g} {y2:.1f} {x2:g} {y2:.1f}"
    # What skips a layer passes behind the boxes between; it is drawn faint, or it would hide what stops there.
    far = " far" if x2 - x1 > LAYER_GAP + BOX_WIDTH / 2 else ""
    return f'<g class="edge {_STROKES.get(edge.role, "value")}{far}"><path id="{name}" d="{path}"/></g>'


def _box(box: Box) -> str:
    address = _page_of(box)
    title = escape(_cut(box.title.partition("/")[0] if box.layer == LAYER_WORDS.index("Endpoints") else box.title, TITLE_CHARS))
    text = f'<text class="title" x="{box.x + 12:g}" y="{box.y + 20:.1f}">{title}</text>'
    linked = f'<a href="{escape(address)}" aria-label="page of {escape(box.title)}">{text}</a>' if address else text
    return f'<rect class="box" x="{box.x:g}" y="{box.y:.1f}" width="{BOX_WIDTH}" height="{box.height:g}" rx="9"/>{linked}'


def _row(graph: Graph, node: Node, box: Box, layout: Layout, name: str, way: Iterable[str], focus: bool) -> str:
    x, middle = layout.middles[node.id]
    top = middle - ROW_HEIGHT / 2
    kinds = " ".join(["node", *(["focus"] if focus else []), *(["gone"] if node.gone else []), *(["past"] if _past(node) else [])])
    short, beside = _words(graph, node)
    used = "".join(f'<use href="#{reference}"/>' for reference in way)
    shown = node.name + (f" · {beside}" if beside else "") + (f" · {node.note}" if node.note else "")
    label = f'<text x="{x + 12:g}" y="{middle + 4:.1f}">{escape(_cut(short, ROW_CHARS - len(beside)))}</text>'
    if beside:
        label += f'<text class="beside" x="{x + BOX_WIDTH - 12:g}" y="{middle + 4:.1f}" text-anchor="end">{escape(beside)}</text>'
    plate = f'<rect id="{name}" class="plate" x="{x + 4:g}" y="{top + 1:.1f}" width="{BOX_WIDTH - 8}" height="{ROW_HEIGHT - 2}" rx="5"/>'
    return (
        f'<g class="{kinds}"><g class="way" aria-hidden="true">{used}</g>'
        f'<a href="{escape(lineage_address(node.id))}">{plate}{label}<title>{escape(shown)}</title></a></g>'
    )


def _words(graph: Graph, node: Node) -> tuple[str, str]:
    """What a row says, and what stands at its right end."""
    if node.kind == "model":
        return ("as declared now" if node.name == node.group else node.name), ""
    if node.kind == "version":
        serves = next((e.how for e in graph.leaving(node.id) if e.role == "serves"), "")
        return node.name.removeprefix(f"{node.group}@"), serves
    if node.kind == "endpoint":
        return node.name.partition("/")[2], ""
    if node.kind == "source":
        return node.name, ""
    short = node.name.removeprefix(f"{node.group}.")
    kind = node.note if node.kind == "column" and not node.gone else ""
    return short, kind if len(kind) + len(short) < ROW_CHARS - 1 else ""


def _past(node: Node) -> bool:
    return node.kind == "feature" and "@" in node.name


def _page_of(box: Box) -> str:
    """The page of what a box stands for."""
    if box.rows[0].id.partition("/")[0] in _INDEXES:
        return _INDEXES[box.rows[0].id.partition("/")[0]]
    kind, name = box.rows[0].kind, quote(box.title, safe="@:/")
    pages = {
        "source": "/data",
        "column": f"/data/{name}",
        "feature": f"/features/{name}",
        "service_feature": "/services",
        "endpoint": f"/endpoints/{name}",
    }
    return pages.get(kind, f"/models/{name}" if box.rows[0].group == box.rows[0].name.partition("@")[0] else "/models")


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1]}…"


__all__ = ["EDGES_DRAWN_MAX", "NODES_DRAWN_MAX", "draw", "drawable", "lineage_address"]
