"""What a new declaration takes away, and from whom: a feature or a key that a service or a model still reads."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from leverframe.core.errors import Fault, Refused
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import FeatureService, with_service
from leverframe.core.model import ModelSpec


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that goes or changes its meaning, and everyone by name who reads it (``service x``, ``model y``, ``endpoint e/z``)."""

    where: str
    what: str
    consumers: tuple[str, ...]


def view_breaks(
    old: FeatureView | None, new: FeatureView, services: Sequence[FeatureService], models: Sequence[ModelSpec]
) -> tuple[Break, ...]:
    """What readers of ``old`` lose with ``new``; a feature that nobody reads may go."""
    if old is None:
        return ()
    known = {service.name: service for service in services}
    found = []
    gone = [feature for feature in old.features if feature not in new.features]
    for feature in gone:
        readers = feature_readers(new.name, (feature,), known, models)
        if readers:
            found.append(Break(where=f"{new.name}.{feature}", what="the feature goes", consumers=readers))
    if old.entity != new.entity:
        readers = feature_readers(new.name, old.features, known, models)
        what = f"the key changes from ({', '.join(old.entity)}) to ({', '.join(new.entity)})"
        if readers:
            found.append(Break(where=new.name, what=what, consumers=readers))
    return tuple(found)


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
        if any(c.source == "view" and c.view == view and c.feature in wanted for c in columns):
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
