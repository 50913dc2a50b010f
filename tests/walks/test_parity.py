"""What a running gateway served is compared with the offline side by the worker; a wrong online value is found, told and alerted."""

import json
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from tests.whole_program import ENDPOINT, NOW_US, WholeProgram, copy_home, open_in_process, whole_program

from leverframe.apps.demo.project.models import FLIGHT_DELAY
from leverframe.apps.demo.project.prepare import between, datasets, moment_us
from leverframe.apps.parity_check import ParityCheck, ParitySample
from leverframe.apps.platform.views import ParityView
from leverframe.apps.replay.driver import request_bodies
from leverframe.apps.settings import Settings
from leverframe.core.prediction import PredictionRecord
from leverframe.features.declared.bindings import binding
from leverframe.features.online.online import EntityRows, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore

VIEW = "origin_weather"
QUESTIONS = 160


def ask(running: WholeProgram) -> None:
    rows = between(datasets()["flights"], "asked_at", NOW_US, moment_us(1, 12)).drop_nulls("late").head(QUESTIONS)
    headers = {"Authorization": f"Bearer {running.secrets['booking-site']}", "Content-Type": "application/json"}
    for body in request_bodies(rows, FLIGHT_DELAY.request, "flight_id"):
        asked = json.loads(body)
        asked.pop("id", None)
        answer = httpx.post(f"{running.gateway_url}/v2/models/{ENDPOINT}/infer", headers=headers, content=json.dumps(asked))
        assert answer.status_code == 200, answer.text


def compared(running: WholeProgram, answer: str) -> ParityView:
    """The view's newest comparison once its verdict is ``answer``."""
    deadline = time.monotonic() + 40.0
    found: tuple[ParityView, ...] = ()
    while time.monotonic() < deadline:
        found = running.person("ana").features.parity(VIEW)
        if found and found[0].answer == answer:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"no verdict {answer}: {found}")


def answers(count: int, asked_at_us: int) -> list[PredictionRecord]:
    """Logged answers about New York's airports whose inputs are all zeros; which columns they have, the version says."""
    return [
        PredictionRecord(
            id=f"{asked_at_us}-{index}", endpoint=ENDPOINT, tenant="t", version=f"{ENDPOINT}@v1", role="live", generation=1,
            asked_at_us=asked_at_us, latency_us=1, status="ok", outputs=(0.5,), features=bytes(8 * 64),
            entities={"origin": "JFK", "carrier": "B6", "tailnum": "N516JB"},
        )
        for index in range(count)
    ]  # fmt: skip


def test_each_view_judges_an_answer_once_however_long_another_must_wait_for_it(tmp_path: Path) -> None:
    platform = open_in_process(Settings(home=copy_home(tmp_path / "home"), clock=f"replay:{tmp_path / 'home' / 'replay.clock'}"))
    try:
        sample = ParitySample()
        check = ParityCheck(platform.parts, sample)
        sample.take(answers(60, NOW_US))
        assert [(each.view, each.questions) for each in check.run()] == [(VIEW, 60)], "the other sources have not reached this moment"
        sample.take(answers(20, NOW_US - 1))
        assert check.run() == [], "twenty decide nothing"
        sample.take(answers(40, NOW_US - 2))
        assert [(each.view, each.questions) for each in check.run()] == [(VIEW, 60)], "what was judged is not judged again"
        assert check.run() == []
        sample.take(answers(50, moment_us(1, 10)))
        assert {each.view: each.questions for each in check.run()} == {VIEW: 50, "origin_delays": 50, "carrier_delays": 50}
    finally:
        platform.close()


@pytest.mark.slow
def test_a_wrong_online_value_is_found_by_feature_share_and_example(tmp_path: Path) -> None:
    with whole_program(tmp_path, parity_interval_s=1.0) as running:
        ana = running.person("ana")
        view = next(each.view for each in ana.features.views() if each.view.name == VIEW)
        ask(running)
        fine = compared(running, "pass")
        assert fine.found.questions >= 50
        assert all(feature.equal + feature.late == feature.cells for feature in fine.found.features)
        store = LmdbOnlineStore(running.settings.online_folder)
        keys, meta = entity_keys([["EWR", "JFK", "LGA"]]), store.meta(VIEW)
        held = store.read(binding(view), keys, NOW_US)
        wrong = held.stored.copy()
        column = view.features.index("wind_speed")
        wrong[:, column] = np.nan_to_num(wrong[:, column]) + 7.25
        store.write(EntityRows(keys=keys, event_us=held.event_us.copy(), arrival_us=held.arrival_us.copy(), values=wrong), meta)
        ask(running)
        skewed = compared(running, "fail")
        verdicts = {feature.feature: feature for feature in skewed.found.features}
        assert [name for name, feature in verdicts.items() if feature.answer == "fail"] == ["wind_speed"]
        assert verdicts["wind_speed"].wrong_share > 0.5
        example = verdicts["wind_speed"].examples[0]
        assert example.served == pytest.approx((example.offline or 0.0) + 7.25)
        deadline = time.monotonic() + 30.0
        while not (alerts := [a for a in ana.monitoring.alerts() if any(s.kind == "parity" for s in a.signals)]):
            assert time.monotonic() < deadline, "the skew was found and nobody was told"
            time.sleep(0.2)
        assert "served otherwise than known" in alerts[0].title
        scrape = ana.features.metrics()
        assert f'lever_feature_late{{view="{VIEW}"}}' in scrape
        assert f'lever_feature_parity_wrong_share{{view="{VIEW}"' in scrape
        store.close()
