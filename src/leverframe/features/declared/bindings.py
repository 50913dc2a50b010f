"""From declared views to what a serving process must know: view bindings and the model's signature."""

import difflib
from collections.abc import Sequence

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
    used = [known[name] for name in dict.fromkeys(c.view for c in spec.columns if c.source == "view") if name in known]
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
    if column.source != "view":
        if column.field in fields:
            return []
        return [Fault(where=column.name, what="no such request field", expected=_closest(column.field, sorted(fields)), got=column.field)]
    view = known.get(column.view)
    if view is None:
        return [Fault(where=column.name, what="no such feature view", expected=_closest(column.view, sorted(known)), got=column.view)]
    if column.feature not in view.features:
        return [
            Fault(
                where=f"{column.name} ({column.view}.{column.feature})",
                what="no such feature in the view",
                expected=_closest(column.feature, view.features),
                got=column.feature,
            )
        ]
    return []
