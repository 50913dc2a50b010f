"""P13: more work than time. What can be answered in time still is, the rest is refused at once, and afterwards all is as before."""

import asyncio
import json
import random
import statistics
import time
from dataclasses import dataclass, field

import pytest
from tests.serving.costly import costly_files
from tests.serving.installation import TOKEN, Installation, gateway, table

from leverframe.core.route import Endpoint

DEADLINE_S = 0.25
SECONDS = 4.0
CONNECTIONS = 256


@dataclass
class Seen:
    """What callers saw: seconds from the moment each request was due."""

    offered: int = 0
    in_time: int = 0
    late: int = 0
    refused_s: list[float] = field(default_factory=list)
    other: list[int] = field(default_factory=list)


def _request(deadline: bool) -> bytes:
    body = json.dumps({"inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [random.random() for _ in range(4)]}]})
    timeout = f"X-Request-Timeout-Ms: {int(DEADLINE_S * 1000)}\r\n" if deadline else ""
    head = f"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n{timeout}Content-Length: {len(body)}\r\n"
    return f"{head}\r\n{body}".encode()


class Callers:
    """CONNECTIONS keep-alive connections; requests queue for a free one, their time running from when they were due."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: asyncio.LifoQueue = asyncio.LifoQueue()

    async def open(self) -> None:
        for _ in range(CONNECTIONS):
            self._free.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))

    async def ask(self, due: float, seen: Seen, deadline: bool) -> None:
        streams = await self._free.get()
        reader, writer = streams
        writer.write(_request(deadline))
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
        took, status = time.perf_counter() - due, int(head[9:12])
        self._free.put_nowait(streams)
        if status == 200:
            seen.in_time += took <= DEADLINE_S
            seen.late += took > DEADLINE_S
        elif status in (503, 504):
            seen.refused_s.append(took)
        else:
            seen.other.append(status)

    async def offer(self, per_second: float, seconds: float, deadline: bool = True) -> Seen:
        """Open loop: requests are due at exponential intervals, whatever became of those before."""
        seen, rng, tasks = Seen(), random.Random(2), []
        due, end = time.perf_counter(), time.perf_counter() + seconds
        while due < end:
            due += rng.expovariate(per_second)
            if (pause := due - time.perf_counter()) > 0:
                await asyncio.sleep(pause)
            seen.offered += 1
            tasks.append(asyncio.ensure_future(self.ask(due, seen, deadline)))
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        return seen

    async def peak(self) -> float:
        """Answers a second of 32 callers who each ask again at once."""
        seen, end = Seen(), time.perf_counter() + 3.0

        async def one() -> None:
            while time.perf_counter() < end:
                await self.ask(time.perf_counter(), seen, False)

        started = time.perf_counter()
        await asyncio.gather(*[one() for _ in range(32)])
        return (seen.in_time + seen.late) / (time.perf_counter() - started)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_p13_overload_sheds(tmp_path):
    installation = Installation(tmp_path)
    arm = installation.bundle(costly_files(1500), "m@v1")
    installation.publish(table(Endpoint(name="m", arms=(arm,))))
    with gateway(tmp_path) as running:
        callers = Callers(running.port)
        await callers.open()
        peak = await callers.peak()
        goodput = {}
        for factor in (0.5, 1.0, 2.0, 5.0):
            seen = await callers.offer(factor * peak, SECONDS)
            goodput[factor] = seen.in_time / SECONDS
            assert seen.other == []
            refused = statistics.median(seen.refused_s) if seen.refused_s else 0.0
            print(
                f"{factor:g} of {peak:.0f}/s: {goodput[factor]:.0f}/s in time, {seen.late} late, "
                f"{len(seen.refused_s)} refused after {1000 * refused:.0f} ms (median)"
            )
            if factor > 1:
                assert refused <= DEADLINE_S
        assert min(goodput[2.0], goodput[5.0]) >= 0.9 * min(peak, max(goodput.values()))
        after = time.perf_counter()
        calm = Seen()
        while time.perf_counter() - after < 5.0:
            calm = await callers.offer(0.3 * peak, 0.5)
            if calm.in_time == calm.offered:
                break
        assert calm.in_time == calm.offered, "not recovered within 5 s"
        page = running.page()
        assert page["log"]["adds_up"]


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_p13_without_shedding_nobody_is_answered_in_time(tmp_path):
    """Negative control: callers that name no deadline, so that the model works through all that waits (the lane's patience is 1 s)."""
    installation = Installation(tmp_path)
    arm = installation.bundle(costly_files(1500), "m@v1")
    installation.publish(table(Endpoint(name="m", arms=(arm,))))
    with gateway(tmp_path) as running:
        callers = Callers(running.port)
        await callers.open()
        peak = await callers.peak()
        seen = await callers.offer(5.0 * peak, SECONDS, deadline=False)
        print(f"without deadlines, 5 of {peak:.0f}/s: {seen.in_time / SECONDS:.0f}/s in time, {seen.late} late")
        assert seen.in_time / SECONDS < 0.9 * peak
