"""A costly model's lane: batches are what came meanwhile, nothing starts too late, the urgent go first, a stuck model stays alone."""

import asyncio
import threading
import time

import numpy as np
import pytest

from leverframe.core.errors import DeadlineExceeded, Overloaded, Unavailable
from leverframe.serving.engine.lane import HIGH, LOW, NORMAL, UNSEEN, Lane
from leverframe.serving.engine.pace import Pace


class Model:
    """Sums rows; a batch costs ``fixed_s + rows * row_s``."""

    def __init__(self, fixed_s: float = 0.005, row_s: float = 0.0) -> None:
        self.fixed_s, self.row_s = fixed_s, row_s
        self.batches: list[list[float]] = []

    def score(self, matrix):
        self.batches.append([float(row[0]) for row in matrix])
        time.sleep(self.fixed_s + self.row_s * len(matrix))
        return matrix.sum(axis=1)


def row(value: float):
    return np.array([[value, 1.0]])


async def test_a_batch_is_what_came_while_the_last_one_ran():
    model = Model()
    lane = Lane("m", model.score)
    waiting = [lane.submit(row(float(i))) for i in range(200)]
    scores = [float((await each)[0]) for each in waiting]
    assert scores == [i + 1.0 for i in range(200)], "an answer went to another request"
    assert len(model.batches) <= 12, "200 rows in batches that grow from 8"
    assert lane.counts.rows == 200
    alone = await lane.submit(row(7.0))
    assert alone.tolist() == [8.0]
    lane.close()


async def test_batches_stay_within_the_latency_budget():
    model = Model(fixed_s=0.0, row_s=0.002)
    lane = Lane("m", model.score, budget_s=0.02, patience_s=60.0)
    for size in (1, 5, 2, 8):
        await lane.submit(np.ones((size, 2)))
    await asyncio.gather(*[lane.submit(row(1.0)) for _ in range(60)])
    later = [len(batch) for batch in model.batches[4:]]
    assert max(later) <= 20, f"batches of {later} rows at 2 ms a row exceed 20 ms"
    assert max(later) >= 3, "nothing was batched"
    lane.close()


async def test_p14_what_expired_is_dropped_before_the_model_is_asked():
    model = Model(fixed_s=0.05)
    lane = Lane("m", model.score)
    first = lane.submit(row(0.0))
    await asyncio.sleep(0.01)
    late = [lane.submit(row(1.0 + i), deadline_ns=time.perf_counter_ns() + 5_000_000) for i in range(5)]
    in_time = lane.submit(row(100.0), deadline_ns=time.perf_counter_ns() + 5_000_000_000)
    assert (await first).tolist() == [1.0]
    for each in late:
        with pytest.raises(DeadlineExceeded):
            await each
    assert (await in_time).tolist() == [101.0]
    assert model.batches == [[0.0], [100.0]]
    with pytest.raises(DeadlineExceeded):
        lane.submit(row(1.0), deadline_ns=time.perf_counter_ns() - 1)
    assert lane.counts.expired == 6
    lane.close()


async def test_what_would_be_late_by_measurement_is_refused_when_it_comes():
    model = Model(fixed_s=0.0, row_s=0.01)
    lane = Lane("m", model.score, rows_max=4, patience_s=0.2)
    for size in (1, 2, 4):
        await lane.submit(np.ones((size, 2)))
    taken, refusals = [], []
    for _ in range(100):
        try:
            taken.append(lane.submit(row(1.0)))
        except Overloaded as error:
            refusals.append(error.got)
    assert 10 <= len(taken) <= 40, "about 0.2 s of work at 10 ms a row"
    assert len(refusals) == 100 - len(taken) == lane.counts.shed
    assert all("work waiting" in got for got in refusals)
    await asyncio.gather(*taken)
    lane.close()


async def test_the_urgent_go_first_and_the_others_make_room():
    model = Model(fixed_s=0.02)
    lane = Lane("m", model.score, rows_max=2, waiting_rows_max=4, patience_s=60.0)
    first = lane.submit(row(0.0))
    await asyncio.sleep(0.005)
    low = [lane.submit(row(10.0 + i), priority=LOW) for i in range(2)]
    unseen = [lane.submit(row(20.0 + i), priority=UNSEEN) for i in range(2)]
    high = [lane.submit(row(30.0 + i), priority=HIGH) for i in range(3)]
    with pytest.raises(Overloaded):
        lane.submit(row(40.0), priority=LOW)
    results = await asyncio.gather(first, *low, *unseen, *high, return_exceptions=True)
    assert [isinstance(each, Overloaded) for each in results] == [False, False, True, True, True, False, False, False]
    assert model.batches[1] == [30.0, 31.0]
    lane.close()


async def test_p15_a_stuck_model_answers_nobody_until_it_returns():
    released = threading.Event()
    entered = threading.Event()

    def score(matrix):
        entered.set()
        released.wait(10.0)
        return matrix.sum(axis=1)

    lane, neighbour = Lane("m", score, stuck_s=0.1), Lane("n", Model(0.001).score)
    hanging = lane.submit(row(1.0))
    await asyncio.sleep(0.02)
    behind = lane.submit(row(2.0))
    assert (await neighbour.submit(row(1.0))).tolist() == [2.0]
    for each in (hanging, behind):
        with pytest.raises(Unavailable, match="does not return"):
            await each
    assert entered.is_set()
    with pytest.raises(Unavailable, match="does not return"):
        lane.submit(row(3.0))
    released.set()
    for _ in range(200):
        if not lane.stuck:
            break
        await asyncio.sleep(0.01)
    assert (await lane.submit(row(4.0))).tolist() == [5.0]
    lane.close()
    neighbour.close()


@pytest.mark.parametrize("score", [lambda matrix: matrix[:0, 0], lambda matrix: 1 / 0, lambda matrix: np.zeros(3)])
async def test_p15_whatever_a_model_does_its_callers_get_an_answer(score):
    lane = Lane("m", score)
    with pytest.raises(Unavailable):
        await lane.submit(row(1.0))
    assert lane.counts.failed == 1
    lane.close()


async def test_whoever_gave_up_is_left_out():
    model = Model(fixed_s=0.02)
    lane = Lane("m", model.score)
    first = lane.submit(row(0.0))
    await asyncio.sleep(0.005)
    gone, stays = lane.submit(row(1.0)), lane.submit(row(2.0))
    gone.cancel()
    await asyncio.gather(first, stays)
    assert model.batches == [[0.0], [2.0]]
    lane.close()


async def test_a_model_elsewhere_is_awaited():
    async def later(matrix):
        await asyncio.sleep(0.001)
        return matrix.sum(axis=1)

    lane = Lane("m", later=later)
    assert (await lane.submit(row(1.0), priority=NORMAL)).tolist() == [2.0]
    lane.close()


def test_the_pace_follows_what_is_measured():
    pace = Pace(budget_s=0.02, rows_max=64)
    for _ in range(60):
        pace.observe(1, 0.004)
        pace.observe(pace.batch_rows, 0.004 + 0.001 * (pace.batch_rows - 1))
    assert 12 <= pace.batch_rows <= 28, "about 17 rows fit into 20 ms"
    assert pace.of(10) == pytest.approx(0.013, rel=0.1)
    for _ in range(60):  # the same model on a machine four times as busy
        pace.observe(pace.batch_rows, 4 * (0.004 + 0.001 * (pace.batch_rows - 1)))
        pace.observe(1, 0.016)
    assert pace.batch_rows <= 12
    assert pace.of(10) == pytest.approx(0.052, rel=0.2)
    for _ in range(60):
        pace.observe(1, 0.004)
        pace.observe(pace.batch_rows, 0.004 + 0.001 * (pace.batch_rows - 1))
    assert pace.batch_rows >= 12, "once slow, it never came back"


def test_a_model_slower_than_the_budget_is_batched_all_the_same():
    pace = Pace(budget_s=0.02, rows_max=64)
    for _ in range(30):
        pace.observe(1, 0.05)
        pace.observe(pace.batch_rows, 0.05 + 0.001 * (pace.batch_rows - 1))
    assert pace.batch_rows >= 30
