"""One dataset's contract with everything about it: promises and how they fared, who relies on them, how they changed, what was refused."""

from collections.abc import Iterator, Sequence

from leverframe.apps.platform.data import Data
from leverframe.apps.platform.datasets import contract_of
from leverframe.apps.platform.keeping import Keeping
from leverframe.apps.platform.lineage_readers import build
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views.contract import ContractDetailView, ContractStep, RuleStanding
from leverframe.apps.platform.views.data import IngestView
from leverframe.core.clock import HOUR_US
from leverframe.core.consumers import EVERY_COLUMN, consumers_of
from leverframe.core.dataset import RuleResult
from leverframe.core.lineage import Graph
from leverframe.data.checks.rule_words import rules_in_words
from leverframe.data.commands import KIND_CONTRACT
from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.evolution import evolve

DELIVERIES_MAX = 20
"""So many deliveries are looked at for how rules fared, and listed."""
SNAPSHOTS_MAX = 5
STEPS_MAX = 50


class ContractDetails:
    """Contracts as their owners want to see them."""

    def __init__(self, parts: Parts, data: Data, keeping: Keeping) -> None:
        self._parts, self._data, self._keeping = parts, data, keeping

    def dataset(self, name: str) -> ContractDetailView:
        """The contract in force for the dataset.

        Raises
        ------
        NotFound: no contract names it.
        """
        parts = self._parts
        contract = contract_of(parts, name)
        deliveries = self._data.reports(name)[:DELIVERIES_MAX]
        # Who rests on a dataset is told to its owners, whichever team it is: a breaking change has to name them (decision 0024).
        graph, _ = build(parts.ledger.whole, parts.bundles.frozen, parts.settings.environment)
        steps = self._steps(contract.name)
        snapshots = self._keeping.snapshots(name)
        latest = next((each.snapshot for each in snapshots if each.latest), None)
        return ContractDetailView(
            contract=contract,
            in_force_since_us=steps[0].at_us if steps else 0,
            rules=tuple(standings(contract, deliveries)),
            readers=_readers(graph, name),
            consumers=consumers_of(graph, name, (EVERY_COLUMN,)),
            steps=steps,
            deliveries=deliveries,
            snapshots=snapshots[:SNAPSHOTS_MAX],
            snapshots_total=len(snapshots),
            newest_us=latest.event_time_max_us if latest is not None else None,
            now_us=parts.clock.now_us(),
        )

    def _steps(self, name: str) -> tuple[ContractStep, ...]:
        """How the contract came to be what it is, newest first."""
        found: list[ContractStep] = []
        before: Contract | None = None
        for revision in self._parts.ledger.history(KIND_CONTRACT, name, Contract):
            if revision.record is None:
                continue
            step = evolve(before, revision.record)
            held = {column.name for column in before.columns} if before is not None else set()
            found.append(
                ContractStep(
                    version=revision.record.version,
                    at_us=revision.from_us,
                    actor=revision.actor,
                    seq=revision.seq,
                    change=step.kind,
                    breaks=step.breaks,
                    columns_added=tuple(c.name for c in revision.record.columns if c.name not in held) if before is not None else (),
                )
            )
            before = revision.record
        return tuple(reversed(found))[:STEPS_MAX]


def standings(contract: Contract, deliveries: Sequence[IngestView]) -> Iterator[RuleStanding]:
    """Each rule of ``contract`` and how it fared in ``deliveries`` (newest first): rules about rows, then about a delivery as a whole."""
    seen = [{(r.rule, r.column): r for r in each.report.results} for each in deliveries]
    said = [(rule.name, rule.column, words, rule.severity) for rule, words in rules_in_words(contract)]
    if contract.volume is not None:
        most = "any number of" if contract.volume.rows_max is None else f"{contract.volume.rows_max:,}"
        said.append(("volume", "", f"a delivery has {contract.volume.rows_min:,} to {most} rows", contract.volume.severity))
    if contract.freshness is not None:
        hours = contract.freshness.age_max_us / HOUR_US
        words = f"the newest is at most {hours:,g} h old when rows are offered"
        said.append(("freshness", contract.freshness.column, words, contract.freshness.severity))
    for rule, column, words, severity in said:
        found: list[RuleResult | None] = [each.get((rule, column)) for each in seen]
        yield RuleStanding(
            rule=rule,
            column=column,
            words=words,
            severity=severity,
            last=next((result for result in found if result is not None), None),
            shares=tuple(None if r is None else _share(r) for r in reversed(found)),
            broken=tuple(r is not None and not r.passed for r in reversed(found)),
        )


def _share(result: RuleResult) -> float:
    """The share of failing rows; of a rule about the delivery as a whole, all of them or none."""
    whole = result.rule in ("volume", "freshness")
    return float(not result.passed) if whole else result.failing_share


def _readers(graph: Graph, dataset: str) -> dict[str, tuple[str, ...]]:
    """Who uses each column directly: views, and models that read the dataset's own rows."""
    found: dict[str, dict[str, None]] = {}
    for node in graph.nodes.values():
        if node.kind == "column" and node.group == dataset:
            named = found.setdefault(node.name.removeprefix(f"{dataset}."), {})
            for edge in graph.leaving(node.id):
                target = graph.nodes[edge.target]
                if target.kind == "feature" and "@" not in target.name:
                    named[f"view {target.group}"] = None
                elif target.kind in ("input", "model"):
                    named[f"model {target.group}"] = None
    return {column: tuple(named) for column, named in found.items()}
