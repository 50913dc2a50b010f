"""Use cases of a team's project: what applying it would do, and doing exactly that."""

from collections.abc import Iterable, Iterator

from leverframe.apps.platform.contracts import Contracts
from leverframe.apps.platform.datasets import latest_snapshot
from leverframe.apps.platform.lineage_bundles import Frozen
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.project_plan import Compared, State, compare
from leverframe.apps.platform.views import Backfill, Declarations, ProjectApplied, ProjectPlan, ProjectRequest, ProjectStep
from leverframe.core.actor import Actor
from leverframe.core.clock import DAY_US
from leverframe.core.command import Command
from leverframe.core.digest import digest_record
from leverframe.core.errors import Conflict, InvalidInput, LeverframeError, Refused
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import KIND_SERVICE, Entity, FeatureService
from leverframe.core.model import ModelSpec
from leverframe.core.route import Endpoint
from leverframe.data.commands import KIND_CONTRACT, ApplyContract
from leverframe.data.contract.contract_file import read_contract
from leverframe.data.contract.contracts import Contract
from leverframe.features.commands import KIND_VIEW, ApplyView
from leverframe.features.declared.breaking import refuse_breaks
from leverframe.features.declared.definitions import view_version
from leverframe.features.materialization.jobs import KIND_JOB, JobRecord, most_alike
from leverframe.features.services import KIND_ENTITY, ApplyEntity, ApplyService
from leverframe.governance.decision import require
from leverframe.release.records import KIND_ENDPOINT
from leverframe.training.commands import KIND_MODEL, ApplyModel

DECLARATIONS_MAX = 5_000
SECONDS_PER_HOUR = 3_600.0


class Projects:
    """Plans of projects, and their application."""

    def __init__(self, parts: Parts, contracts: Contracts) -> None:
        self._parts, self._contracts = parts, contracts

    def plan(self, actor: Actor, declared: Declarations) -> ProjectPlan:
        """What applying ``declared`` would do to the state as it is now; nothing is written.

        Raises
        ------
        Forbidden: the actor may not read declarations.    InvalidInput: too many declarations.    Refused: a name is another team's.
        """
        require(self._parts.policy, actor, "Features.Read", "platform/leverframe", "", {})
        count = sum(len(getattr(declared, kind)) for kind in declared.__struct_fields__)
        if count > DECLARATIONS_MAX:
            raise InvalidInput("too many declarations at once", where="project", expected=f"at most {DECLARATIONS_MAX}", got=str(count))
        # Whoever would lose something counts, whichever team it is; what other teams declared under such a name is not told.
        held = self._state(self._parts.whole)
        self._refuse_taken(declared, held)
        seen = compare(declared, held)
        decided = (declared, held, seen.steps, seen.breaks, seen.faults, seen.behind)
        return ProjectPlan(
            digest=digest_record(decided),
            steps=seen.steps,
            breaks=seen.breaks,
            backfills=tuple(self._backfills(declared, seen)),
            behind=seen.behind,
            stays=tuple(_stays(seen.steps, self._state(self._parts))),
            faults=seen.faults,
        )

    def apply(self, actor: Actor, request: ProjectRequest, *, key: str) -> ProjectApplied:
        """Apply a project: each declaration that differs is a command of its own, all of them in one transaction: the project, or nothing.

        Raises
        ------
        Conflict: the state or the project is not what ``request.plan`` was made of.    InvalidInput: a declaration has faults.
        Refused: something that others read goes, and ``allow_breaking`` is not set; names every one of them.
        """
        plan = self.plan(actor, request.declared)
        if request.plan and request.plan != plan.digest:
            raise Conflict(
                "the state or the project changed since it was planned",
                where="project",
                expected=request.plan,
                got=plan.digest,
                next_step="lever plan PROJECT_DIR, then apply what it shows",
            )
        if plan.faults:
            raise InvalidInput(
                f"{len(plan.faults)} fault(s): " + "; ".join(f"{f.where}: {f.what}" for f in plan.faults[:6]),
                where="project",
                next_step="correct the declarations and run: lever plan PROJECT_DIR",
                faults=plan.faults,
            )
        if not request.allow_breaking:
            refuse_breaks(plan.breaks, "project")
        changed: set[tuple[str, str]] = {(step.kind, step.name) for step in plan.steps if step.change != "unchanged"}
        # In the order things need each other: each is decided on what those before it leave.
        commands = [
            (command, f"{key}/{kind.rpartition(' ')[2]}/{name}")
            for kind, name, command in self._commands(request.declared, changed)
            if (kind, name) in changed
        ]
        receipts = self._parts.ledger.write_all(actor, commands)
        said = [dict(receipt.result) for receipt in receipts]
        for (command, _), told in zip(commands, said, strict=True):
            if isinstance(command, ApplyContract):
                told |= {"contract": command.contract.name, "version": command.contract.version}
        return ProjectApplied(plan=plan.digest, said=tuple(said))

    def _commands(self, declared: Declarations, changed: set[tuple[str, str]]) -> Iterator[tuple[str, str, Command]]:
        """Every declaration as a command. What breaks was looked at for the project as a whole, and not again one by one: a feature may go
        in the same plan as the last column that takes it.
        """
        contracts = [read_contract(text.encode()) for text in declared.contracts]
        held = self._parts.ledger.find(KIND_CONTRACT, Contract)
        teams = {contract.dataset: contract.team for contract in (*held, *contracts)}
        for contract in contracts:
            differs = ("contract", contract.name) in changed
            broken = tuple(consumer.name for consumer in self._contracts.broken_by(contract)) if differs else ()
            yield "contract", contract.name, ApplyContract(contract=contract, break_consumers=broken)
        for entity in declared.entities:
            yield "entity", entity.name, ApplyEntity(entity=entity)
        for view in declared.views:
            yield "feature view", view.name, ApplyView(view=view, owning_team=teams[view.source], allow_breaking=True)
        for service in declared.services:
            yield "feature service", service.name, ApplyService(service=service, allow_breaking=True)
        for model in declared.models:
            yield "model", model.name, ApplyModel(spec=model)

    def _refuse_taken(self, declared: Declarations, held: State) -> None:
        """Contracts and models are their team's alone, their names are the installation's: one that is taken cannot be declared again."""
        seen = self._state(self._parts) if self._parts.whole is not self._parts else held
        for model in declared.models:
            if model.name in held.models and model.name not in seen.models:
                raise Refused("the name is another team's already", where=f"model {model.name}", next_step="choose another name")
        for name in held.contracts.keys() - seen.contracts.keys():
            if any(_contract_name(text) == name for text in declared.contracts):
                raise Refused("the name is another team's already", where=f"contract {name}", next_step="choose another name")

    def _state(self, parts: Parts) -> State:
        ledger = parts.ledger
        return State(
            contracts={c.name: c for c in ledger.find(KIND_CONTRACT, Contract)},
            entities={e.name: e for e in ledger.find(KIND_ENTITY, Entity)},
            views={v.name: v for v in ledger.find(KIND_VIEW, FeatureView)},
            services={s.name: s for s in ledger.find(KIND_SERVICE, FeatureService)},
            models={m.name: m for m in ledger.find(KIND_MODEL, ModelSpec)},
            endpoints=live_bundles(parts),
        )

    # What must be filled --------------------------------------------------------------------------------------------

    def _backfills(self, declared: Declarations, seen: Compared) -> Iterable[Backfill]:
        done = self._parts.ledger.find(KIND_JOB, JobRecord)
        price = self._parts.settings.core_hour_price
        for view in declared.views:
            version = view_version(view)
            if self._parts.online.meta(view.name, version) is not None:
                continue
            snapshot = latest_snapshot(self._parts, view.source)
            rows = snapshot.rows if snapshot is not None else 0
            days = 0
            if snapshot is not None and snapshot.event_time_min_us is not None and snapshot.event_time_max_us is not None:
                days = snapshot.event_time_max_us // DAY_US - snapshot.event_time_min_us // DAY_US + 1
            like = most_alike(done, view.name, rows)
            yield Backfill(
                view=view.name,
                view_version=version,
                source=view.source,
                rows=rows,
                days=days,
                seconds=rows / like.rows_per_second if like else None,
                measured_on=f"{like.view}, {like.rows:,} rows in {like.seconds:.3g} s" if like else "",
                cost=rows / like.rows * like.cpu_seconds / SECONDS_PER_HOUR * price if like and price else None,
            )


def _contract_name(text: str) -> str:
    """The contract's name; empty where the file is none (the plan says what is wrong with it)."""
    try:
        return read_contract(text.encode()).name
    except LeverframeError:
        return ""


def live_bundles(parts: Parts) -> dict[str, Frozen]:
    """``<environment>/<endpoint> (<version>)`` and what its bundle froze, of every version that has a share of live traffic.

    A version whose bundle cannot be opened now has none, and is left out: planning must work while an artifact store does not.
    """
    found = {}
    for endpoint in parts.ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{parts.settings.environment}/"):
        for arm in endpoint.arms:
            try:
                frozen = parts.bundles.frozen(arm)
            except LeverframeError:
                continue
            if frozen is not None:
                found[f"{parts.settings.environment}/{endpoint.name} ({arm.version})"] = frozen
    return found


def _stays(steps: tuple[ProjectStep, ...], held: State) -> Iterable[str]:
    named = {(step.kind, step.name) for step in steps}
    kinds = {
        "contract": held.contracts,
        "entity": held.entities,
        "feature view": held.views,
        "feature service": held.services,
        "model": held.models,
    }
    return [f"{kind} {name}" for kind, records in kinds.items() for name in records if (kind, name) not in named]
