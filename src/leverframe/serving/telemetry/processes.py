"""What became of the processes of foreign models, by endpoint and version, over the workers of a gateway."""

from collections.abc import Iterable

import msgspec

from leverframe.serving.telemetry.exposition import Family

PROCESSES_MAX = 64
"""A worker tells of so many foreign models; of more, those after it are left out of the metrics (the health page has all)."""


class ProcessTally(msgspec.Struct, frozen=True, kw_only=True):
    """One foreign model in one worker: processes started, processes that died, and whether no further one is started."""

    endpoint: str
    version: str
    starts: int
    deaths: int
    quarantined: bool


def process_families(tallies: Iterable[ProcessTally]) -> tuple[Family, ...]:
    """Sums over workers; ``quarantined`` counts the workers in which a model is.

    >>> one = ProcessTally(endpoint="m", version="m@v1", starts=2, deaths=1, quarantined=False)
    >>> [dict(family.values) for family in process_families([one, one])]
    [{('m', 'm@v1'): 4}, {('m', 'm@v1'): 2}, {('m', 'm@v1'): 0}]
    """
    starts: dict[tuple[str, ...], float] = {}
    deaths, quarantined = dict(starts), dict(starts)
    for tally in tallies:
        key = (tally.endpoint, tally.version)
        for into, value in ((starts, tally.starts), (deaths, tally.deaths), (quarantined, int(tally.quarantined))):
            into[key] = into.get(key, 0) + value
    labels = ("endpoint", "version")
    return (
        Family(name="isolated_starts_total", kind="counter", labels=labels, values=starts),
        Family(name="isolated_deaths_total", kind="counter", labels=labels, values=deaths),
        Family(name="isolated_quarantined", kind="gauge", labels=labels, values=quarantined),
    )
