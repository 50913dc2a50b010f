"""What questions about lineage answer."""

import msgspec

from leverframe.core.lineage import Change, Edge, Hit, Node


class LineageView(msgspec.Struct, frozen=True, kw_only=True):
    """What ``thing`` is made from and who lives by it, at ``at_us``: ``focus`` are the nodes that it names."""

    thing: str
    at_us: int
    focus: tuple[str, ...]
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    cut: bool = False


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What a change does to an arm of an endpoint: ``version`` answers ``weight`` percent, and ``lost`` of its ``inputs`` go missing."""

    environment: str
    endpoint: str
    version: str
    arm: str
    weight: float
    lost: tuple[str, ...]
    inputs: int


class ImpactView(msgspec.Struct, frozen=True, kw_only=True):
    """What breaks if ``columns`` are changed so: every thing that is reached, whom to tell, and what to type, in order."""

    columns: tuple[str, ...]
    change: Change
    at_us: int
    sentence: str
    hits: tuple[Hit, ...]
    endpoints: tuple[Served, ...]
    owners: dict[str, tuple[str, ...]]
    commands: tuple[str, ...]

    @property
    def breaks(self) -> bool:
        """Whether anything stops working, rather than having to be looked at."""
        return any(hit.breaks for hit in self.hits)
