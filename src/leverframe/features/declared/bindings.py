"""From declared views to what a serving process must know: view bindings and the model's signature."""

import difflib
from collections.abc import Sequence

from leverframe.core.column_reads import column_features, column_reads
from leverframe.core.errors import Fault, SchemaMismatch
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, Signature, ViewBinding
from leverframe.features.declared.definitions import view_version


def binding(view: FeatureView) -> ViewBinding:
    """How the online store is read for ``view``. The request fields that make the key are called like the entity columns."""
    return ViewBinding(
        view=view.name,
        view_version=view_version(view),
        entity_fields=view.entity,
        features=view.features,
        # A window takes its own rows back when they have passed; only row expressions expire by TTL.
        ttl_us=view.ttl_us if view.expressions else 0,
    )


def signature(spec: ModelSpec, views: Sequence[FeatureView]) -> Signature:
    """The signature of ``spec``, bound to the current versions of the views that its columns use.

    Raises
    ------
    SchemaMismatch: a column uses a view, feature or request field that is not there; names all of them.
    """
    known = {view.name: view for view in views}
    fields = {field.name for field in spec.request}
    read = dict.fromkeys(feature.view for column in spec.columns for feature in column_features(column))
    used = [known[name] for name in read if name in known]
    faults = [fault for column in spec.columns for fault in _column_faults(column, known, fields)]
    faults += [
        Fault(where=f"{view.name}.{key}", what="the request lacks the entity key", expected=key, got=", ".join(sorted(fields)))
        for view in used
        for key in view.entity
        if key not in fields
    ]
    if faults:
        raise SchemaMismatch(
            "; ".join(f"{f.where}: {f.what}" for f in faults),
            where=f"model {spec.name}",
            expected=faults[0].expected,
            got=faults[0].got,
            next_step="correct the model spec, or declare the view: lever features apply",
            faults=faults,
        )
    return Signature(request=spec.request, columns=spec.columns, views=tuple(binding(view) for view in used), outputs=spec.outputs)


def _closest(name: str, names: Sequence[str]) -> str:
    return ", ".join(difflib.get_close_matches(name, names, n=1)) or ", ".join(names)


def _column_faults(column: InputColumn, known: dict[str, FeatureView], fields: set[str]) -> list[Fault]:
    faults = []
    for name, view_name in column_reads(column):
        view = known.get(view_name)
        if not view_name and name not in fields:
            faults.append(Fault(where=column.name, what="no such request field", expected=_closest(name, sorted(fields)), got=name))
        elif view_name and view is None:
            faults.append(Fault(where=column.name, what="no such feature view", expected=_closest(view_name, sorted(known)), got=view_name))
        elif view is not None and name not in view.features:
            where, expected = f"{column.name} ({view_name}.{name})", _closest(name, view.features)
            faults.append(Fault(where=where, what="no such feature in the view", expected=expected, got=name))
    return faults
