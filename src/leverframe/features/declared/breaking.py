"""What a new declaration takes away, and from whom: a feature or a key that a service or a model still reads."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from leverframe.core.column_reads import reads_feature
from leverframe.core.errors import Fault, Refused
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import FeatureService, with_service
from leverframe.core.model import ModelSpec


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes or changes its meaning, and everyone by name who reads it (``service x``, ``model y``, ``endpoint e/z``)."""

    where: str
    what: str
    consumers: tuple[str, ...]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """What readers of ``features`` of a view would lose, whoever they are."""

    where: str
    what: str
    features: tuple[str, ...]


def view_losses(old: FeatureView | None, new: FeatureView) -> tuple[Loss, ...]:
    """What ``new`` takes away: each feature that goes, and the key when that changes."""
    if old is None:
        return ()
    gone = [Loss(where=f"{new.name}.{f}", what="the feature goes", features=(f,)) for f in old.features if f not in new.features]
    if old.entity == new.entity:
        return tuple(gone)
    what = f"the key changes from ({', '.join(old.entity)}) to ({', '.join(new.entity)})"
    return (*gone, Loss(where=new.name, what=what, features=old.features))


def view_breaks(
    old: FeatureView | None, new: FeatureView, services: Sequence[FeatureService], models: Sequence[ModelSpec]
) -> tuple[Break, ...]:
    """What services and models lose with ``new``; a feature that nobody reads may go."""
    known = {service.name: service for service in services}
    found = [(loss, feature_readers(new.name, loss.features, known, models)) for loss in view_losses(old, new)]
    return tuple(Break(where=loss.where, what=loss.what, consumers=readers) for loss, readers in found if readers)


def service_breaks(old: FeatureService | None, new: FeatureService, models: Iterable[ModelSpec]) -> tuple[Break, ...]:
    """What models that take ``old`` lose with ``new``: a column that goes, or one that becomes another feature."""
    if old is None:
        return ()
    after = {f.column: (f.view, f.feature) for f in new.features}
    takers = [model for model in models if model.service == new.name]
    found = []
    for served in old.features:
        to = after.get(served.column)
        if to == (served.view, served.feature):
            continue
        losers = tuple(f"model {m.name}" for m in takers if served.column not in {c.name for c in m.columns})
        what = "the column goes" if to is None else f"the column becomes {'.'.join(to)} instead of {served.view}.{served.feature}"
        if losers:
            found.append(Break(where=f"{new.name}.{served.column}", what=what, consumers=losers))
    return tuple(found)


def feature_readers(
    view: str, features: Iterable[str], services: Mapping[str, FeatureService], models: Iterable[ModelSpec]
) -> tuple[str, ...]:
    """The services and models that read one of ``features`` of ``view``, by name."""
    wanted = frozenset(features)
    taking = [f"service {s.name}" for s in services.values() if any(f.view == view and f.feature in wanted for f in s.features)]
    reading = []
    for model in models:
        columns = with_service(model, services).columns if model.service in services else model.columns
        if any(reads_feature(column, view, feature) for column in columns for feature in wanted):
            reading.append(f"model {model.name}")
    return (*taking, *reading)


def refuse_breaks(breaks: Sequence[Break], where: str) -> None:
    """Return when nothing breaks.

    Raises
    ------
    Refused: something does; each thing with everyone who reads it.
    """
    if not breaks:
        return
    raise Refused(
        "this change takes away what others read: " + "; ".join(f"{b.where}: {b.what} (read by {', '.join(b.consumers)})" for b in breaks),
        where=where,
        next_step="lever plan PROJECT_DIR shows who; lever apply PROJECT_DIR --allow-breaking once their owners know",
        faults=[Fault(where=b.where, what=f"{b.what}; read by {', '.join(b.consumers)}") for b in breaks],
    )
