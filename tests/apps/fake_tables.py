"""Batch tables as a fake platform knows them: one that was written, with a plan that waits."""

from typing import Any

from leverframe.apps.platform.views.tables import TableEntry, TablePlanView, TableView
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US
from leverframe.core.errors import NotFound
from leverframe.release.plans.plan import VersionRef
from leverframe.release.tables.comparison import Comparison, LossDifference
from leverframe.release.tables.limits import Limits, judge
from leverframe.release.tables.records import BatchTable, Output, TablePlan, TableWatch

AT_US = 1_370_000_000_000_000


def output(number: int) -> Output:
    digest = f"sha256:{number:064x}"
    return Output(
        digest=digest,
        version=f"flight-delay@v{number}",
        bundle=digest,
        job=digest,
        inputs=(f"sha256:{9:064x}",),
        rows=900,
        scored=900,
        column="probability",
        columns=("row", "probability"),
    )


SEEN = Comparison(
    rows=900,
    missing=0,
    lost=0,
    gained=0,
    answered=900,
    shift_mean=0.01,
    shift_largest=0.2,
    shift_row=17,
    cut=0.5,
    crossed=0.01,
    labelled=400,
    losses=(
        LossDifference(loss="brier", n=400, live=0.11, candidate=0.108, difference=-0.002, low=-0.0055, high=0.0015),
        LossDifference(loss="log_loss", n=400, live=0.31, candidate=0.312, difference=0.002, low=-0.009, high=0.013),
    ),
)
TABLE = BatchTable(name="nightly", environment="prod", team="delays", current=output(1), earlier=(output(3),))
PLAN = TablePlan(
    id="nightly.t0001",
    table="nightly",
    environment="prod",
    team="delays",
    base=output(1).digest,
    live=output(1),
    answers=output(2),
    candidate=VersionRef(version="flight-delay@v2", bundle=output(2).bundle, envelope=output(2).bundle),
    comparison=SEEN,
    limits=Limits(),
    verdicts=judge(SEEN, Limits()),
    risk_tier="low",
    author="ana",
    created_at_us=AT_US,
)
WAITING = TablePlanView(
    digest=PLAN.digest,
    compared=PLAN.compared,
    answer="pass",
    plan=PLAN,
    approvals=(),
    needed=1,
    missing=("1 more approval by someone other than ana",),
    stale=False,
    switched=False,
)
WATCH = TableWatch(
    plan=f"sha256:{8:064x}",
    table="nightly",
    team="delays",
    version="flight-delay@v1",
    before="flight-delay@v3",
    from_us=AT_US,
    until_us=AT_US + 14 * DAY_US,
    at_us=AT_US,
)
VIEW = TableView(
    table=TABLE,
    history=(
        TableEntry(at_us=AT_US, actor="ana", event="written", reason="", version="flight-delay@v1", digest=TABLE.current.digest, rows=900),
    ),
    plans=(WAITING,),
    watch=WATCH,
    watched="flight-delay@v1 is watched until 2013-06-14T11:33:20Z: no row's label became known yet",
)


class FakeTables:
    def __init__(self, calls: Any, access: Any) -> None:
        self._calls, self._access = calls, access

    def tables(self) -> tuple[BatchTable, ...]:
        return (TABLE,)

    def table(self, name: str) -> TableView:
        if name != TABLE.name:
            raise NotFound("no such table", where=name, next_step="lever table list")
        return VIEW

    def rows(self, actor: Actor, name: str) -> bytes:
        return b"PAR1"

    def approve(self, actor: Actor, name: str, digest: str, *, note: str, key: str) -> TablePlanView:
        self._calls.write(self._access, actor, "Release.Approve", key, name, digest, note)
        return WAITING

    def switch(self, actor: Actor, name: str, digest: str, *, key: str) -> TableView:
        self._calls.write(self._access, actor, "Release.Apply", key, name, digest)
        return VIEW

    def rollback(self, actor: Actor, name: str, *, reason: str, to: str, key: str) -> TableView:
        self._calls.write(self._access, actor, "Release.Rollback", key, name, reason, to)
        return VIEW
