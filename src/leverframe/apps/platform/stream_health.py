"""How streams into data are doing: as a check, as metrics, and as signals for the endpoints that read what they bring."""

from collections.abc import Iterable, Iterator

from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import Check
from leverframe.core.alert import Signal
from leverframe.core.clock import SECOND_US
from leverframe.data.streams.taken import KIND_STREAM, Stream
from leverframe.monitoring.origins import Origins

_METRICS = {
    "lever_stream_rows_total": ("counter", "Rows that a stream brought into its dataset."),
    "lever_stream_quarantined_total": ("counter", "Messages of it that were set aside."),
    "lever_stream_repeated_total": ("counter", "Messages of it that had been there."),
    "lever_stream_late_total": ("counter", "Rows whose event was before one taken earlier."),
    "lever_stream_behind": ("gauge", "Messages the broker had beyond the last batch; absent where it cannot say."),
    "lever_stream_age_seconds": ("gauge", "Time since the last batch."),
    "lever_stream_paused": ("gauge", "1 while the stream waits for somebody."),
}


def stream_check(parts: Parts) -> Iterator[Check]:
    """Whether every stream goes on; nothing where there is none."""
    found = parts.ledger.find(KIND_STREAM, Stream)
    if not found:
        return
    waiting = [each for each in found if each.state == "paused"]
    broken = [each for each in found if each.state == "running" and each.broken]
    said = [*(f"{each.id} waits: {each.reason}" for each in waiting), *(f"{each.id}: {each.broken}" for each in broken)]
    then = f", then lever data streams resume {waiting[0].dataset} {waiting[0].name}" if waiting else ""
    yield Check(
        name="streams",
        ok=not said,
        detail="; ".join(said[:3]) or f"all go on: {len(found)}",
        fix=f"mend the producer or the contract{then}" if said else "",
    )


def stream_metrics(parts: Parts) -> bytes:
    """Every stream in Prometheus' text format."""
    now_us = parts.clock.now_us()
    values: dict[str, list[tuple[str, float]]] = {name: [] for name in _METRICS}
    for each in parts.ledger.find(KIND_STREAM, Stream):
        label = f'dataset="{each.dataset}",stream="{each.name}"'
        values["lever_stream_rows_total"].append((label, each.rows))
        values["lever_stream_quarantined_total"].append((label, each.quarantined))
        values["lever_stream_repeated_total"].append((label, each.repeated))
        values["lever_stream_late_total"].append((label, each.late))
        values["lever_stream_paused"].append((label, float(each.state == "paused")))
        if each.behind is not None:
            values["lever_stream_behind"].append((label, each.behind))
        if each.taken_at_us is not None:
            values["lever_stream_age_seconds"].append((label, max(0, now_us - each.taken_at_us) / SECOND_US))
    lines = []
    for name, (kind, said) in _METRICS.items():
        lines += [f"# HELP {name} {said}", f"# TYPE {name} {kind}", *(f"{name}{{{label}}} {value:.9g}" for label, value in values[name])]
    return ("\n".join(lines) + "\n").encode()


def stream_signals(streams: Iterable[Stream], origins: Origins, now_us: int) -> tuple[Signal, ...]:
    """A signal for each view whose source has a stream that waits, whose schema changed, or most of which was set aside.

    Parameters
    ----------
    origins: of the endpoint's columns.
    """
    views: dict[str, list[str]] = {}
    for origin in origins.values():
        if origin.view not in views.setdefault(origin.source, []):
            views[origin.source].append(origin.view)
    return tuple(
        Signal(
            kind="stream",
            subject=view,
            observed=1.0,
            threshold=0.0,
            window=(each.taken_at_us or now_us, now_us),
            detail=f"stream {each.id}: {f'it waits: {each.reason}' if each.state == 'paused' else each.broken}",
        )
        for each in streams
        if each.state == "paused" or each.broken
        for view in views.get(each.dataset, ())
    )
