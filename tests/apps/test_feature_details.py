"""What a view's page is made of: its jobs and verdicts as they were recorded, and nothing of values made of personal columns."""

import dataclasses
import os
from pathlib import Path

from tests.apps.test_materializing import CONTRACT as READINGS
from tests.apps.test_materializing import LATEST, HeldBack, Place, readings
from tests.whole_program import issue_tokens

from leverframe.apps.platform.feature_details import personal_features
from leverframe.apps.platform.platform import Platform
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_parts
from leverframe.core.actor import PLATFORM
from leverframe.core.feature import Aggregate, Expression, FeatureView
from leverframe.data.contract.contracts import Column, Contract
from leverframe.features.declared.definitions import view_version
from leverframe.features.parity_verdicts import FeatureVerdict, ParityRecord, RecordParity, SkewExample

SPENDING = Column(name="salary", logical_type="number", physical_type="float64", classification="personal")
CONTRACT = Contract(name="c", version="1.0.0", dataset="d", owner="o", team="t", columns=(SPENDING,))


def test_an_expression_or_an_aggregate_over_a_personal_column_is_personal() -> None:
    shared = {"name": "v", "source": "d", "entity": ("k",), "event_time": "e", "arrival_time": "e"}
    sql = FeatureView(**shared, expressions=(Expression(name="a", sql="coalesce(salary, 0) * 2"), Expression(name="b", sql="salary_band")))
    sums = FeatureView(
        **shared,
        aggregates=(Aggregate(name="s", function="sum", column="salary", window_us=1), Aggregate(name="n", function="count", window_us=1)),
    )
    assert personal_features(sql, CONTRACT) == ("a",)
    assert personal_features(sums, CONTRACT) == ("s",)


def test_a_view_tells_what_its_jobs_took_and_what_was_served_wrongly(tmp_path: Path) -> None:
    parts = open_parts(Settings(home=tmp_path / "home", core_hour_price=3600.0))
    parts.queue.close()
    queue = HeldBack()
    platform = Platform(dataclasses.replace(parts, queue=queue))  # type: ignore[arg-type]
    place = Place(platform, queue, platform.access.authenticate(issue_tokens(platform)["ana"]))
    platform.data.apply_contract(place.ana, READINGS, key="contract")
    place.ingest(readings(5))
    platform.features.apply_view(place.ana, LATEST, key="latest")
    before = platform.details.view("latest")
    assert (before.jobs, before.parity, before.in_time_share) == ((), (), None)
    job = place.materialize(names=("latest",))
    skew = SkewExample(prediction="p-1", asked_at_us=1, served=2.0, offline=None)
    for endpoint, wrong in (("prod/good", 0), ("prod/skewed", 3)):
        verdict = FeatureVerdict(
            feature="v", cells=100, equal=100 - wrong, late=0, answer="fail" if wrong else "pass", examples=(skew,) if wrong else ()
        )
        found = ParityRecord(
            view="latest",
            view_version=view_version(LATEST),
            endpoint=endpoint,
            version="m@v1",
            at_us=platform.now_us(),
            questions=100,
            features=(verdict,),
        )
        platform.parts.ledger.write(PLATFORM, RecordParity(found=found, owning_team="flights"), key=os.urandom(4).hex())
    platform.health.note(platform.features.freshness())
    shown = platform.details.view("latest")
    platform.close()
    assert [(each.id, each.rows, each.status) for each in shown.jobs] == [(job.id, 20, "done")]
    assert shown.jobs[0].seconds == job.seconds > 0
    assert [(each.found.endpoint, each.answer) for each in shown.parity] == [("prod/skewed", "fail"), ("prod/good", "pass")]
    assert shown.parity[0].found.features[0].examples == (skew,)
