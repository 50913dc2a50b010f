"""Whether a new version of a model can take what an old one's callers send, and give them what they read.

A gateway ignores inputs that no field names and takes any number where a model takes a float, so adding an optional field or widening an
integer breaks nobody. What is called a fault here breaks a caller who changes nothing.
"""

from collections.abc import Sequence

import msgspec

from leverframe.core.errors import Fault
from leverframe.core.schema import RequestField, Signature


class SeenForm(msgspec.Struct, frozen=True, kw_only=True):
    """One shape of request that callers send: input names and their datatypes, or one table of ``packed`` columns; ``count`` of them."""

    inputs: tuple[tuple[str, str], ...] = ()
    packed: int = 0
    count: int = 1


def takes(old: str, new: str) -> bool:
    """Whether a field of datatype ``new`` takes every value of datatype ``old``.

    >>> takes("INT32", "INT64"), takes("INT64", "INT32"), takes("UINT8", "INT16"), takes("INT8", "UINT8"), takes("INT64", "FP32")
    (True, False, True, False, True)
    """
    if old == new or (new.startswith("FP") and old not in ("BYTES", "BOOL")):
        return True
    if not (new.startswith(("INT", "UINT")) and old.startswith(("INT", "UINT"))):
        return False
    have, need = int(new.lstrip("UINT")), int(old.lstrip("UINT"))
    if new[0] == old[0]:
        return have >= need
    return new[0] == "I" and have > need


def incompatibilities(old: Signature, new: Signature, seen: Sequence[SeenForm] = ()) -> tuple[Fault, ...]:
    """What callers of ``old`` would run into at ``new``, inputs first.

    Parameters
    ----------
    seen: what is sent today. With it a field that nobody sends may go, and a table of columns without names must keep its columns; without
        it everything that ``old`` declares counts as sent.
    """
    return (*_inputs(old, new, seen), *_packed(old, new, seen), *_outputs(old, new))


def _inputs(old: Signature, new: Signature, seen: Sequence[SeenForm]) -> list[Fault]:
    faults = []
    before, after = {field.name: field for field in old.request}, {field.name: field for field in new.request}
    named = [dict(form.inputs) for form in seen if not form.packed]
    for name, field in after.items():
        known = before.get(name)
        # Everybody sends what the old version required; any other field is sent when every form seen has it.
        always = (known is not None and known.required) or (bool(named) and all(name in form for form in named))
        if field.required and not always:
            faults.append(Fault(where=name, what="a required input that callers do not send", expected="optional", got=_said(field)))
        if known is not None and (known.width != field.width or not takes(known.datatype, field.datatype)):
            faults.append(Fault(where=name, what="an input of another type", expected=_said(known), got=_said(field)))
        elif known is None:
            wrong = sorted({form[name] for form in named if name in form and not takes(form[name], field.datatype)})
            if wrong:
                faults.append(Fault(where=name, what="an input of another type than callers send", expected=wrong[0], got=_said(field)))
    for name, field in before.items():
        sent = any(name in form for form in named) if seen else field.required
        if name not in after and sent:
            faults.append(
                Fault(where=name, what="an input that callers send and that would be ignored", expected=_said(field), got="no such field")
            )
    return faults


def _packed(old: Signature, new: Signature, seen: Sequence[SeenForm]) -> list[Fault]:
    """One table without column names keeps its meaning only while the fields are the same, in the same order."""
    before, after = [field.name for field in old.request], [field.name for field in new.request]
    numbers = all(field.datatype.startswith("FP") and field.width == 1 for field in new.request)
    if not any(form.packed for form in seen) or (before == after and numbers):
        return []
    expected, got = ", ".join(before)[:200], ", ".join(after)[:200]
    return [Fault(where="inputs", what="callers send one table without column names", expected=f"numbers: {expected}", got=got)]


def _outputs(old: Signature, new: Signature) -> list[Fault]:
    faults, after = [], {field.name: field for field in new.outputs}
    for field in old.outputs:
        found = after.get(field.name)
        said = f"{field.datatype}, width {field.width}"
        if found is None:
            faults.append(Fault(where=field.name, what="an output is gone", expected=said, got=", ".join(after)[:200]))
        elif (found.datatype, found.width) != (field.datatype, field.width):
            faults.append(
                Fault(where=field.name, what="an output of another type", expected=said, got=f"{found.datatype}, width {found.width}")
            )
    if old.outputs and new.outputs and old.outputs[0].name in after and new.outputs[0].name != old.outputs[0].name:
        faults.append(Fault(where="outputs", what="another output comes first", expected=old.outputs[0].name, got=new.outputs[0].name))
    return faults


def _said(field: RequestField) -> str:
    return f"{'required' if field.required else 'optional'} {field.datatype}, width {field.width}"
