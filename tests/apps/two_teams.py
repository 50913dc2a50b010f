"""An installation of two teams: what ``bravo`` has of every kind of record, and people of ``alpha`` who knock.

Data and features are made as people make them; what takes a training or traffic to come about is put into the ledger as it would lie there.
Every text of bravo's carries the word ``bravo``, every digest of theirs the same few digits, so that a leak can be read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from tests.data.conftest import TRIPS

from leverframe.apps.platform.monitoring import MonitorReport
from leverframe.apps.platform.platform import Platform
from leverframe.apps.platform.views import MonitorView
from leverframe.apps.settings import Settings
from leverframe.apps.wiring import open_platform
from leverframe.core.actor import Actor
from leverframe.core.alert import Alert
from leverframe.core.command import Command, Handles, Transaction
from leverframe.core.descent import Descent
from leverframe.core.feature import Expression, FeatureView
from leverframe.core.feature_service import Entity, EntityKey
from leverframe.core.model import ModelSpec, ModelVersion
from leverframe.core.route import Arm, Endpoint, Quota
from leverframe.data.commands import KIND_DELIVERY, KIND_QUARANTINE, Delivery, Quarantine
from leverframe.data.retention.commands_erasure import ErasureRecord
from leverframe.data.retention.retention import Retention
from leverframe.data.snapshots.source_marks import SourceMark
from leverframe.data.sources.fetch_jobs import FetchJob
from leverframe.data.sources.registered import Source
from leverframe.data.streams.taken import Stream, StreamRules
from leverframe.features.parity_verdicts import FeatureVerdict, ParityRecord
from leverframe.governance.ledger.memory import AllowEverything
from leverframe.governance.ledger.store import Ledger, MachineClock
from leverframe.monitoring.commands import Incident
from leverframe.monitoring.error_budget import ErrorBudget
from leverframe.monitoring.evidence import Evidence
from leverframe.monitoring.objectives import Objectives
from leverframe.release.experiments.plan import ExperimentPlan
from leverframe.release.experiments.records import Experiment, OpenExperiment
from leverframe.release.levers.corrections import Correction
from leverframe.release.planning.calm import Lifted
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.plans.team_rules import TeamRules
from leverframe.release.records import Approval, EvidenceNote, Freeze, Lever, Queue, Release, Review, TenantQuota, Waiting
from leverframe.release.requirements.exceptions import RuleException
from leverframe.release.tables.records import BatchTable, Switched, TablePlan, TableWatch
from leverframe.serving.commands import Scoring
from leverframe.training.registries import AliasSet, Followed, Registry
from leverframe.training.reproduction_commands import ReproductionRecord
from leverframe.training.runs import RunRecord

MARK = "bravo"
DIGITS = "b4a10" * 12 + "b4a1"
DIGEST = f"sha256:{DIGITS}"
VERSION = f"{MARK}-model@v1"
BOSS = Actor(subject="root", roles=("admin",), teams=("*",))


class Put(Command, frozen=True, kw_only=True):
    """Put a record as it is; only this test has such a command."""

    action: ClassVar[str] = "Test.Put"
    kind: str
    id: str
    body: dict[str, Any]

    def resource(self) -> str:
        return f"{self.kind}/{self.id}"

    def team(self) -> str:
        return MARK


class _Any(msgspec.Struct, frozen=True):
    pass


def _put(command: Put, tx: Transaction) -> None:
    tx.put(command.kind, command.id, msgspec.defstruct("Body", [(name, Any) for name in command.body], frozen=True)(**command.body))


def fill(kind: type[msgspec.Struct], **known: Any) -> Any:
    """A record of ``kind``: what is not given says ``bravo`` where it can, and is as small as its type allows where it cannot."""
    fields = {}
    for field in msgspec.structs.fields(kind):
        if field.name in known:
            fields[field.name] = known[field.name]
        elif field.required:
            fields[field.name] = _smallest(msgspec.inspect.type_info(field.type), field.name)
    return msgspec.convert(msgspec.to_builtins(fields), kind)


def _smallest(info: Any, name: str) -> Any:
    known = msgspec.inspect
    if isinstance(info, known.StrType):
        if name in ("version", "url"):
            return VERSION if name == "version" else f"https://{MARK}-url.example"
        return DIGEST if name in ("digest", "bundle", "envelope", "plan", "job", "base", "snapshot", "report_digest") else f"{MARK}-{name}"
    if isinstance(info, known.IntType | known.FloatType):
        return 1
    if isinstance(info, known.BoolType):
        return False
    if isinstance(info, known.LiteralType):
        return info.values[0]
    if isinstance(info, known.StructType):
        return msgspec.to_builtins(fill(info.cls))
    if isinstance(info, known.UnionType):
        return _smallest(info.types[0], name)
    if isinstance(info, known.TupleType | known.VarTupleType | known.ListType):
        return [_smallest(each, name) for each in info.item_types] if isinstance(info, known.TupleType) else []
    if isinstance(info, known.DictType):
        return {}
    return None


ENDPOINT = f"{MARK}-endpoint"
RELEASE = f"prod.{ENDPOINT}.r0001"
EXPERIMENT = f"prod.{ENDPOINT}.x0001"
VIEW = FeatureView(
    name=f"{MARK}_view",
    source=f"{MARK}-trips",
    entity=("rider",),
    event_time="ended_at",
    arrival_time="ended_at",
    expressions=(Expression(name="far", sql="miles * 2"),),
)
CONTRACT = (
    TRIPS.replace("id: trips", f"id: {MARK}-trips")
    .replace("name: trips", f"name: {MARK}-trips")
    .replace("trips.ended_at", f"{MARK}-trips.ended_at")
    .replace("name: rides", f"name: {MARK}")
    .replace("        classification: restricted\n        tags: [pii]\n", "")
)
ROWS = b"id,kind,miles,seats,rider,ended_at\nt1,short,1.5,2,bravorider,1\n"

PLAN = fill(ReleasePlan, endpoint=ENDPOINT, environment="prod", team=MARK, id=RELEASE)
XPLAN = fill(ExperimentPlan, endpoint=ENDPOINT, environment="prod", team=MARK, id=EXPERIMENT)
TPLAN = fill(TablePlan, table=f"{MARK}-table", environment="prod", team=MARK)
HERE = {"environment": "prod", "endpoint": ENDPOINT}

RECORDS: tuple[tuple[str, str, Any], ...] = (
    (KIND_QUARANTINE, f"{MARK}-trips/{DIGEST}", fill(Quarantine, dataset=f"{MARK}-trips")),
    (KIND_DELIVERY, f"sha256:{'d' * 64}", fill(Delivery, dataset=f"{MARK}-trips")),
    ("retention", f"{MARK}-trips", fill(Retention, dataset=f"{MARK}-trips", keep_last=3)),
    ("erasure", f"{MARK}-erasure", fill(ErasureRecord, id=f"{MARK}-erasure", dataset=f"{MARK}-trips")),
    ("erasure-due", f"{MARK}-erasure", fill(_Any)),
    ("source", f"{MARK}-source", fill(Source, name=f"{MARK}-source", team=MARK)),
    ("source-mark", f"{MARK}-source/{MARK}-trips", fill(SourceMark, dataset=f"{MARK}-trips")),
    ("fetch", f"{MARK}-trips/{MARK}-fetch", fill(FetchJob, id=f"{MARK}-fetch", dataset=f"{MARK}-trips")),
    ("stream", f"{MARK}-trips/{MARK}-stream", fill(Stream, dataset=f"{MARK}-trips", name=f"{MARK}-stream", rules=StreamRules())),
    (
        "parity",
        f"{VIEW.name}/{ENDPOINT}/{VERSION}",
        fill(ParityRecord, view=VIEW.name, endpoint=ENDPOINT, features=(fill(FeatureVerdict),)),
    ),
    ("model", f"{MARK}-model", fill(ModelSpec, name=f"{MARK}-model", team=MARK)),
    ("model_version", f"{MARK}-model/000001", fill(ModelVersion, model=f"{MARK}-model", number=1)),
    ("run", f"{MARK}-run", fill(RunRecord, id=f"{MARK}-run", team=MARK)),
    ("descent", f"{VERSION}/{VERSION}", fill(Descent, child=VERSION)),
    ("reproduction", f"{VERSION}/1", fill(ReproductionRecord, version=VERSION, model=f"{MARK}-model")),
    ("registry", f"{MARK}-registry", fill(Registry, name=f"{MARK}-registry", team=MARK)),
    ("followed_version", f"{MARK}-registry/1", fill(Followed, registry=f"{MARK}-registry")),
    ("alias_set", f"{MARK}-registry", fill(AliasSet, registry=f"{MARK}-registry")),
    ("plan", PLAN.digest, PLAN),
    ("approval", f"{PLAN.digest}/{MARK}-person", fill(Approval, plan=PLAN.digest)),
    (
        "exception",
        f"{PLAN.digest}/evidence-runbook",
        fill(RuleException, plan=PLAN.digest, team=MARK, rule="evidence-runbook", expires_us=2**60),
    ),
    ("release", RELEASE, fill(Release, id=RELEASE, plan=PLAN.digest, team=MARK, **HERE)),
    ("evidence", f"{RELEASE}/{MARK}", fill(EvidenceNote, release=RELEASE)),
    ("review", RELEASE, fill(Review, release=RELEASE, team=MARK)),
    ("queue", f"prod/{ENDPOINT}", Queue(waiting=(fill(Waiting, release=f"{RELEASE}b"),))),
    ("endpoint", f"prod/{ENDPOINT}", fill(Endpoint, name=ENDPOINT, arms=(fill(Arm, version=VERSION, weight=100.0),), release=RELEASE)),
    ("lever", f"prod/{ENDPOINT}/pin", fill(Lever, team=MARK, **HERE)),
    ("freeze", f"prod/{ENDPOINT}", fill(Freeze, **HERE)),
    ("calm", f"prod/{ENDPOINT}", fill(Lifted, **HERE)),
    ("correction", f"{MARK}-correction", fill(Correction, **HERE)),
    ("tenant_quota", f"prod/{MARK}", fill(TenantQuota, environment="prod", tenant=MARK, quota=Quota(per_second=1.0, burst=1.0))),
    ("release_rules", MARK, fill(TeamRules, team=MARK)),
    ("experiment_plan", XPLAN.digest, XPLAN),
    ("experiment", EXPERIMENT, fill(Experiment, id=EXPERIMENT, plan=XPLAN.digest, team=MARK, **HERE)),
    ("experiment_open", EXPERIMENT, fill(OpenExperiment, experiment=EXPERIMENT)),
    ("batch_table", f"{MARK}-table", fill(BatchTable, name=f"{MARK}-table", team=MARK, environment="prod")),
    ("batch_table_plan", TPLAN.digest, TPLAN),
    ("batch_table_watch", TPLAN.digest, fill(TableWatch, plan=TPLAN.digest, table=f"{MARK}-table", team=MARK)),
    ("batch_table_switched", TPLAN.digest, fill(Switched, plan=TPLAN.digest)),
    ("scoring", DIGEST, fill(Scoring, version=VERSION)),
    ("alert", f"{ENDPOINT}/{MARK}", fill(Alert, id=f"{ENDPOINT}/{MARK}", endpoint=ENDPOINT)),
    ("incident", f"{MARK}-incident", fill(Incident, id=f"{MARK}-incident", endpoint=ENDPOINT)),
    ("error_budget", ENDPOINT, fill(ErrorBudget, endpoint=ENDPOINT)),
    ("objectives", ENDPOINT, fill(Objectives, endpoint=ENDPOINT)),
)
"""What lies in bravo's part of the ledger besides what they declared and delivered."""


@contextmanager
def putting(settings: Settings) -> Iterator[Ledger]:
    """The installation's ledger with the one command that puts records as they are."""
    ledger = Ledger(settings.ledger_url, MachineClock(), AllowEverything(), (Handles(command=Put, run=_put),))
    try:
        yield ledger
    finally:
        ledger.close()


def two_teams(home: Path) -> Platform:
    """The installation, open."""
    platform = open_platform(Settings(home=home))
    owner = Actor(subject=f"{MARK}-person", roles=("engineer",), teams=(MARK,))
    platform.data.apply_contract(owner, CONTRACT, key="contract")
    became = platform.data.ingest(owner, f"{MARK}-trips", ROWS, format="csv", key="rows")
    assert became.snapshot is not None, became.report
    entity = Entity(name=f"{MARK}_rider", keys=(EntityKey(name="rider", type="text"),), team=MARK)
    platform.services.apply_entity(owner, entity, key="entity")
    platform.features.apply_view(owner, VIEW, key="view")
    with putting(platform.parts.settings) as ledger:
        for kind, id, record in RECORDS:
            ledger.write(owner, Put(kind=kind, id=id, body=msgspec.to_builtins(record)), key=f"{kind}/{id}")
    report = MonitorReport(at_us=1, views=(fill(MonitorView, endpoint=ENDPOINT),), evidence=(fill(Evidence, endpoint=ENDPOINT),))
    platform.parts.publisher.publish_monitor(msgspec.msgpack.encode(report))
    return platform
