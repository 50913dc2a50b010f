"""Lineage as a tree for a terminal: leaves that belong together share a line, and what was shown once is not unfolded again."""

from typing import TYPE_CHECKING, Literal

from leverframe.apps.platform.views import ImpactView, LineageView
from leverframe.core.lineage import Edge, Graph, Node, graph_of

if TYPE_CHECKING:
    from rich.tree import Tree

LINES_MAX = 400
"""A longer tree says how much it leaves out; ``--json`` has all of it."""

KIND_WORDS = {
    "source": "source",
    "column": "column",
    "feature": "feature",
    "service_feature": "service feature",
    "input": "input",
    "model": "model",
    "version": "version",
    "endpoint": "endpoint",
}


class _Grower:
    """Grows one direction of the tree."""

    def __init__(self, graph: Graph, direction: Literal["up", "down"]) -> None:
        self._graph = graph
        self._up = direction == "up"
        self._seen: set[str] = set()
        self.lines = 0

    def next(self, id: str) -> list[Edge]:
        """The edges onward from a node."""
        return self._graph.entering(id) if self._up else self._graph.leaving(id)

    def grow(self, branch: "Tree", id: str) -> None:
        """Hang everything beyond ``id`` under ``branch``."""
        leaves: dict[str, dict[str, list[str]]] = {}
        onward: dict[str, list[str]] = {}
        for edge in self.next(id):
            other = edge.source if self._up else edge.target
            words = edge.how or edge.column or edge.role.replace("_", " ")
            node = self._graph.nodes[other]
            if node.kind != "column" or (self.next(other) and not self._up):
                onward.setdefault(other, []).append(words)
            else:
                leaves.setdefault(node.group, {}).setdefault(node.name, []).append(words)
        for group, named in leaves.items():
            self.leaf(branch, group, named)
        for other, said in onward.items():
            again = other in self._seen
            self._seen.add(other)
            node = self._graph.nodes[other]
            line = f"{node_words(node)}  [dim]{escaped(', '.join(dict.fromkeys(said)))}[/dim]"
            child = self._hang(branch, line + ("  [dim](above)[/dim]" if again else ""))
            if child is not None and not again:
                self.grow(child, other)

    def leaf(self, branch: "Tree", group: str, named: dict[str, list[str]]) -> None:
        """Hang columns of one dataset on one line, and below it the sources they are fetched from."""
        line = self._hang(branch, _leaf_line(group, named))
        fetched = dict.fromkeys(edge.source for name in named for edge in self._graph.entering(f"column/{name}")) if self._up else ()
        if line is not None:
            for source in fetched:
                self._hang(line, node_words(self._graph.nodes[source]))

    def _hang(self, branch: "Tree", line: str) -> "Tree | None":
        self.lines += 1
        return branch.add(line) if self.lines <= LINES_MAX else None


def _leaf_line(group: str, named: dict[str, list[str]]) -> str:
    told = []
    for name, words in named.items():
        short = name.removeprefix(f"{group}.")
        said = [word for word in dict.fromkeys(words) if word != short]
        told.append(f"{escaped(short)} [dim]{escaped('; '.join(said))}[/dim]" if said else escaped(short))
    return f"[bold]{escaped(group)}[/bold]: " + ", ".join(told)


def escaped(text: str) -> str:
    """``text`` without any meaning to the terminal library."""
    from rich.markup import escape

    return escape(text)


def node_words(node: Node) -> str:
    """A node in one line, with what a reader must know."""
    mark = f"  [red]{escaped(node.note)}[/red]" if node.gone else (f"  [yellow]{escaped(node.note)}[/yellow]" if _worth(node) else "")
    return f"[dim]{KIND_WORDS[node.kind]}[/dim] [bold]{escaped(node.name)}[/bold]{mark}"


def _worth(node: Node) -> bool:
    return bool(node.note) and node.kind != "column"


def trees(view: LineageView) -> "tuple[tuple[Tree, ...], int]":
    """The trees of what ``view`` shows, and how many lines were left out."""
    from rich.tree import Tree

    graph = graph_of(view.nodes, view.edges)
    grown = []
    over = 0
    for direction, title in (("up", "made from"), ("down", "used by")):
        grower = _Grower(graph, "up" if direction == "up" else "down")
        root = Tree(f"[bold]{escaped(view.thing)}[/bold] is {title}")
        columns = [id for id in view.focus if direction == "up" and len(view.focus) > 1 and graph.nodes[id].kind == "column"]
        fetched = [id for id in columns if grower.next(id)]
        for group in dict.fromkeys(graph.nodes[id].group for id in fetched):
            grower.leaf(root, group, {graph.nodes[id].name: [] for id in fetched if graph.nodes[id].group == group})
        for id in view.focus:
            if id in columns:
                continue
            beyond = grower.next(id)
            if len(view.focus) > 1 and not beyond:
                continue
            grower.grow(root.add(node_words(graph.nodes[id])) if len(view.focus) > 1 else root, id)
        over += max(0, grower.lines - LINES_MAX)
        if not root.children:
            root.add("[dim]nothing[/dim]")
        grown.append(root)
    return tuple(grown), over


def impact_rows(view: ImpactView) -> list[tuple[str, str, str, str]]:
    """One line a thing that is reached: what happens, kind, name, how it comes there."""
    rows = []
    for hit in view.hits:
        if hit.node.kind == "input":
            continue
        verdict = "breaks" if hit.breaks else ("trained on it" if hit.node.kind == "version" else "look at it")
        way = " → ".join(part.partition("/")[2] for part in hit.path[:-1])
        rows.append((verdict, KIND_WORDS[hit.node.kind], hit.node.name, f"{way} → {hit.how or hit.role.replace('_', ' ')}"))
    return rows
