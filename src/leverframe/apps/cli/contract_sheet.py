"""One dataset's contract on a terminal."""

from leverframe.apps.cli.output import print_facts, print_table
from leverframe.apps.console.words import ago, duration, moment
from leverframe.apps.platform.views.contract import ContractDetailView, RuleStanding

BARS = "▁▂▃▄▅▆▇█"
STEPS_SHOWN = 10


def print_contract(shown: ContractDetailView) -> None:
    """Facts, then a line a promise with how it fared, then how the contract came to be what it is."""
    contract, last = shown.contract, shown.deliveries[0] if shown.deliveries else None
    age = "no rows yet" if shown.age_us is None else f"{duration(shown.age_us)} old"
    if contract.freshness is not None and shown.age_us is not None:
        late = " LATE" if shown.age_us > contract.freshness.age_max_us else ""
        age += f"{late}, at most {duration(contract.freshness.age_max_us)} promised"
    became = "none"
    if last is not None:
        word = "accepted" if last.accepted else "REFUSED"
        became = f"{word} {ago(last.report.checked_at_us, shown.now_us)}, {last.report.rows:,} rows"
    treated = [f"{column.name} ({column.treatment})" for column in contract.columns if column.personal]
    print_facts(
        (
            ("dataset", contract.dataset),
            ("is", contract.description or "not described"),
            ("contract", f"{contract.name} {contract.version}, in force since {moment(shown.in_force_since_us)}"),
            ("owner", f"{contract.owner} (team {contract.team})"),
            ("last delivery", became),
            ("newest row", age),
            ("personal", ", ".join(treated) or "no column"),
            ("read by", ", ".join(consumer.name for consumer in shown.consumers) or "nobody"),
        )
    )
    rows = ((each.column or "rows", each.words, each.severity, _result(each), _bars(each.shares)) for each in shown.rules)
    print_table("Promises", ("column", "promise", "a broken one", "last result", "over time"), rows)
    steps = ((s.version, moment(s.at_us), s.actor, s.change, "; ".join(f"{f.where}: {f.what}" for f in s.breaks)) for s in shown.steps)
    print_table("How it came to be", ("version", "in force from", "by", "change", "what broke"), list(steps)[:STEPS_SHOWN])


def _result(standing: RuleStanding) -> str:
    if standing.last is None:
        return "not checked yet"
    share = f"{100 * standing.last.failing_share:.3g} %"
    if standing.last.passed:
        return f"holds, {share} tolerated" if standing.last.failing_rows else "holds"
    return f"BROKEN by {share}"


def _bars(shares: tuple[float | None, ...]) -> str:
    """A bar a delivery, oldest first; empty where the rule was never broken."""
    if not any(shares):
        return ""
    return "".join(" " if share is None else BARS[min(len(BARS) - 1, round(share**0.5 * (len(BARS) - 1)))] for share in shares)
