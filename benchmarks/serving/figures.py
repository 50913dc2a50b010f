"""The figures: each server beside ours in interleaved rounds, and what is asked of ours alone.

Only the two servers that are compared are alive at a time. A round measures ours, then the other, at each figure; what is reported is the
median of the rounds' ratios, so that a disturbance of the machine, which hits both or one round, weighs little.
"""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import PeerUnavailable
from benchmarks.report import Report
from benchmarks.serving import customer, flight
from benchmarks.serving.load import Measured, measure, measure_open
from benchmarks.serving.products import NULL, OURS, OURSELVES, RATE_16, RATE_32_ROWS, RATE_64, Server
from benchmarks.serving.servers import Running, free_port, running
from benchmarks.serving.setup import ROWS, Scene, http

P50_AT_1 = "p50 at 1 connection"
P50_AT_1_BESIDE = ("limit-trees", "limit-lightgbm", "fastapi")
WARM_S = 0.5
OPEN_LOAD, OPEN_CONNECTIONS, OPEN_S = 0.7, 256, 4.0
RANKED, RANKINGS = 500, 100
LOOKED_UP = "1-row requests at 16 connections, 20 features of 1 entity looked up"


@dataclass(frozen=True)
class Effort:
    """How long is measured: rounds of every figure, seconds of each measurement."""

    rounds: int = 5
    seconds: float = 1.0


@dataclass
class Seen:
    """What ours gave by figure, over all rounds beside all others."""

    ours: dict[str, list[Measured]] = field(default_factory=lambda: defaultdict(list))

    def rate(self, figure: str) -> float:
        """Median answers a second."""
        return statistics.median(each.answers_per_s for each in self.ours[figure])


def requests_of(server: Server, scene: Scene) -> Mapping[str, tuple[Sequence[bytes], int]]:
    """What a server is asked for each figure: requests and connections."""
    single = server.protocol.requests(scene.rows[1])
    asked: dict[str, tuple[Sequence[bytes], int]] = {RATE_16: (single, 16), RATE_64: (single, 64)}
    if server.name in P50_AT_1_BESIDE or server.name == OURS:
        asked[P50_AT_1] = (single, 1)
    if server.with_32_rows:
        asked[RATE_32_ROWS] = (server.protocol.requests(scene.rows[32]), 16)
    return asked


def beside(ours: Running, server: Server, python: Path | None, scene: Scene, effort: Effort, seen: Seen, report: Report) -> None:
    """Measure ``server`` with ours in every round and report both.

    Raises
    ------
    PeerUnavailable: it does not start, answers wrongly or fails under load.
    """
    asked, ask_ours = requests_of(server, scene), requests_of(OURSELVES, scene)
    port, log = free_port(), scene.home / f"{server.name}.log"
    command = server.command(python, scene.home, port)
    theirs: dict[str, list[Measured]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    ask = asked[RATE_16][0][0]
    with running(command, port, log, ask=ask, protocol=server.protocol, expected=scene.expected[1]) as other:
        measure(port, asked[RATE_16][0], 4, WARM_S)
        for _ in range(effort.rounds):
            for figure, (requests, connections) in asked.items():
                mine = measure(ours.port, *ask_ours[figure], effort.seconds)
                its = measure(port, requests, connections, effort.seconds)
                assert mine.failures == 0, f"ours failed {mine.failures} requests; see {scene.home}"
                if its.failures:
                    raise PeerUnavailable(f"failed {its.failures} requests of '{figure}'")
                seen.ours[figure].append(mine)
                theirs[figure].append(its)
                ratios[figure].append(mine.answers_per_s / its.answers_per_s)
        memory_mib = other.memory_mib()
    bars = dict(server.bars)
    for figure, runs in theirs.items():
        if figure == P50_AT_1:
            report.add(figure, round(statistics.median(run.latency_ms_p50 for run in runs), 4), "ms", peer=server.name)
            continue
        report.add(figure, round(statistics.median(run.answers_per_s for run in runs)), "requests/s", peer=server.name)
        ratio = round(statistics.median(ratios[figure]), 2)
        report.add(f"{figure}, ratio", ratio, "x", peer=server.name, bar=bars.get(figure), better="higher")
    report.add("cold start to first answer", round(other.cold_start_s, 2), "s", peer=server.name)
    report.add("memory of all its processes (PSS)", round(memory_mib), "MiB", peer=server.name)


def own_figures(ours: Running, scene: Scene, effort: Effort, seen: Seen, report: Report) -> None:
    """What is asked of ours alone: rates, latency, open loop, look-up, ranking."""
    for figure in (RATE_16, RATE_64, RATE_32_ROWS):
        if seen.ours[figure]:
            report.add(figure, round(seen.rate(figure)), "requests/s", peer=OURS)
    asked = requests_of(OURSELVES, scene)
    single = asked[RATE_16][0]
    runs = seen.ours[P50_AT_1] or [measure(ours.port, single, 1, effort.seconds) for _ in range(effort.rounds)]
    beside_fastapi = [f.value for f in report.figures if f.figure == P50_AT_1 and f.peer == "fastapi" and not isinstance(f.value, str)]
    value = round(statistics.median(run.latency_ms_p50 for run in runs), 4)
    report.add(P50_AT_1, value, "ms", peer=OURS, bar=0.2)
    if beside_fastapi:
        report.add(f"{P50_AT_1}, against fastapi's", round(value / beside_fastapi[0], 2), "x", peer=OURS, bar=1.0)
    peak = max(seen.rate(f) for f in (RATE_16, RATE_64)) if seen.ours[RATE_16] else measure(ours.port, single, 16, 1.0).answers_per_s
    runs = [measure_open(ours.port, single, OPEN_LOAD * peak, OPEN_CONNECTIONS, OPEN_S) for _ in range(effort.rounds)]
    assert not any(run.failures for run in runs)
    report.add("rate of the open loop", round(statistics.median(run.answers_per_s for run in runs)), "requests/s", peer=OURS)
    report.add("p50 at 70 % of its peak, open loop", round(statistics.median(r.latency_ms_p50 for r in runs), 3), "ms", peer=OURS)
    report.add("p99 at 70 % of its peak, open loop", round(statistics.median(r.latency_ms_p99 for r in runs), 3), "ms", peer=OURS, bar=5.0)
    _look_ups(ours, single, effort, report)


def _look_ups(ours: Running, single: Sequence[bytes], effort: Effort, report: Report) -> None:
    looked_up = {
        LOOKED_UP: [http(f"/v2/models/{customer.NAME}/infer", body) for body in customer.bodies(ROWS)],
        "the same, 15 features of 3 entities in 4 views": [http(f"/v2/models/{flight.NAME}/infer", b) for b in flight.bodies(1, ROWS)],
    }
    ranking = [http(f"/v2/models/{flight.NAME}/infer", body) for body in flight.bodies(RANKED, RANKINGS)]
    rates: dict[str, list[float]] = defaultdict(list)
    ratios: dict[str, list[float]] = defaultdict(list)
    ranked = []
    for _ in range(effort.rounds):
        without = measure(ours.port, single, 16, effort.seconds).answers_per_s
        for name, requests in looked_up.items():
            found = measure(ours.port, requests, 16, effort.seconds)
            assert not found.failures, f"{name}: {found.failures} failed"
            rates[name].append(found.answers_per_s)
            ratios[name].append(found.answers_per_s / without)
        found = measure(ours.port, ranking, 1, effort.seconds)
        assert not found.failures
        ranked.append(found.latency_ms_p50)
    for name in looked_up:
        report.add(name, round(statistics.median(rates[name])), "requests/s", peer=OURS)
        bar = 0.7 if name == LOOKED_UP else None
        report.add(f"{name}, against without", round(statistics.median(ratios[name]), 2), "x", peer=OURS, bar=bar, better="higher")
    report.add(f"{RANKED}-candidate ranking with features looked up, p50", round(statistics.median(ranked), 2), "ms", peer=OURS, bar=5.0)


def start_and_memory(scene: Scene, effort: Effort, report: Report) -> None:
    """Cold start and memory of a gateway with one model in two arms and nothing else, after a second of load."""
    starts, weights = [], []
    requests = OURSELVES.protocol.requests(scene.rows[1])
    for number in range(effort.rounds):
        port = free_port()
        command, log = OURSELVES.command(None, scene.alone, port), scene.home / f"alone-{number}.log"
        with running(command, port, log, ask=requests[0], protocol=OURSELVES.protocol, expected=scene.expected[1]) as alone:
            measure(port, requests, 16, effort.seconds)
            starts.append(alone.cold_start_s)
            weights.append(alone.memory_mib())
    report.add("cold start to first answer", round(statistics.median(starts), 2), "s", peer=OURS, bar=1.0)
    report.add("memory with one model (PSS)", round(statistics.median(weights)), "MiB", peer=OURS, bar=120.0)


def ceiling(scene: Scene, effort: Effort, report: Report) -> None:
    """What the load generator itself reaches, on a server that reads nothing."""
    requests, port = NULL.protocol.requests(scene.rows[1]), free_port()
    command, log = NULL.command(None, scene.home, port), scene.home / "null.log"
    with running(command, port, log, ask=requests[0], protocol=NULL.protocol, expected=[0.5]):
        for figure, connections in ((RATE_16, 16), (RATE_64, 64)):
            rates = [measure(port, requests, connections, effort.seconds).answers_per_s for _ in range(effort.rounds)]
            report.add(figure, round(statistics.median(rates)), "requests/s", peer="load generator, null server")
