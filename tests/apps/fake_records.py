"""Plausible records of the flight-delay story, from fixed seeds, for doors that are tested without the rooms behind them; by area."""

from tests.apps.fake_records_data import LINEAGE, WEATHER_CONTRACT, WEATHER_TEXT, contract_detail, ingest, lineage, snapshot
from tests.apps.fake_records_features import AIRPORT, SERVICE, WEATHER, feature_detail, job, parity
from tests.apps.fake_records_model import SPEC, evaluation, run, version, version_facts, version_view
from tests.apps.fake_records_moment import CARRIERS, NOW_US, digest
from tests.apps.fake_records_release import ENVIRONMENTS, TEAM_RULES, endpoint_view, intervals, plan, release, running_release, watched
from tests.apps.fake_records_watch import ALERT, DIAGNOSIS, OBJECTIVES, WEBHOOK, audit, monitor

__all__ = [
    "AIRPORT",
    "ALERT",
    "CARRIERS",
    "DIAGNOSIS",
    "ENVIRONMENTS",
    "LINEAGE",
    "NOW_US",
    "OBJECTIVES",
    "SERVICE",
    "SPEC",
    "TEAM_RULES",
    "WEATHER",
    "WEATHER_CONTRACT",
    "WEATHER_TEXT",
    "WEBHOOK",
    "audit",
    "contract_detail",
    "digest",
    "endpoint_view",
    "evaluation",
    "feature_detail",
    "ingest",
    "intervals",
    "job",
    "lineage",
    "monitor",
    "parity",
    "plan",
    "release",
    "run",
    "running_release",
    "snapshot",
    "version",
    "version_facts",
    "version_view",
    "watched",
]
