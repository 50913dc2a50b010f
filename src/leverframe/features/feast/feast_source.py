"""A ``features.py`` that a person would like to keep, written from declarations."""

import re
from collections.abc import Iterable, Sequence

from leverframe.core.clock import DAY_US, HOUR_US, MINUTE_US, SECOND_US
from leverframe.core.errors import Fault
from leverframe.core.feature import FeatureView
from leverframe.core.feature_service import Entity, FeatureService

_UNITS = ((DAY_US, "lf.DAY_US"), (HOUR_US, "lf.HOUR_US"), (MINUTE_US, "lf.MINUTE_US"), (SECOND_US, "lf.SECOND_US"))


def source_text(
    about: str, entities: Sequence[Entity], views: Sequence[FeatureView], services: Sequence[FeatureService], left: Sequence[Fault]
) -> str:
    """A module that declares everything given; what was left behind stands at its end, as a list to work off."""
    blocks = [f'"""{about}"""\n\nimport leverframe as lf']
    blocks += [_assigned(entity.name, "ENTITY", _entity(entity)) for entity in entities]
    blocks += [_assigned(view.name, "", _view(view)) for view in views]
    blocks += [_assigned(service.name, "SERVICE", _service(service)) for service in services]
    if left:
        blocks.append("\n".join(["# Not carried over:", *(f"# - {f.where}: {f.what}" + (f" ({f.got})" if f.got else "") for f in left)]))
    return "\n\n".join(blocks) + "\n"


def _assigned(name: str, suffix: str, call: str) -> str:
    constant = name.upper()
    return f"{constant}_{suffix} = {call}" if suffix and not constant.endswith(suffix) else f"{constant} = {call}"


def _call(function: str, arguments: Iterable[tuple[str, str]], indent: str = "") -> str:
    lines = [f"{indent}    {name}={value}," for name, value in arguments if value not in ('""', "()", "0")]
    return "\n".join([f"lf.{function}(", *lines, f"{indent})"])


def _row(function: str, arguments: Iterable[tuple[str, str]]) -> str:
    told = ", ".join(f"{name}={value}" for name, value in arguments if value not in ('""', "()"))
    return f"lf.{function}({told})"


def _several(rows: Iterable[str]) -> str:
    return "".join(["(\n", *(f"        {row},\n" for row in rows), "    )"])


def _text(value: str) -> str:
    quoted = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\x{ord(found.group()):02x}", quoted) + '"'


def _texts(values: Sequence[str]) -> str:
    return "(" + ", ".join(map(_text, values)) + ("," if len(values) == 1 else "") + ")"


def _duration(us: int) -> str:
    """``7 * lf.DAY_US``.

    >>> _duration(2 * HOUR_US), _duration(DAY_US), _duration(90)
    ('2 * lf.HOUR_US', 'lf.DAY_US', '90')
    """
    for unit, name in _UNITS:
        if us and us % unit == 0:
            return name if us == unit else f"{us // unit} * {name}"
    return str(us)


def _entity(entity: Entity) -> str:
    keys = [_row("EntityKey", (("name", _text(key.name)), ("type", _text(key.type)))) for key in entity.keys]
    return _call(
        "Entity",
        (
            ("name", _text(entity.name)),
            ("keys", "(" + ", ".join(keys) + ("," if len(keys) == 1 else "") + ")"),
            ("team", _text(entity.team)),
            ("owner", _text(entity.owner)),
            ("description", _text(entity.description)),
            ("tags", _texts(entity.tags)),
        ),
    )


def _view(view: FeatureView) -> str:
    rows = [
        _row("Expression", (("name", _text(feature.name)), ("sql", _text(feature.sql)), ("description", _text(feature.description))))
        for feature in view.expressions
    ]
    return _call(
        "FeatureView",
        (
            ("name", _text(view.name)),
            ("source", _text(view.source)),
            ("entity", _texts(view.entity)),
            ("event_time", _text(view.event_time)),
            ("arrival_time", _text(view.arrival_time)),
            ("expressions", _several(rows)),
            ("ttl_us", _duration(view.ttl_us)),
            ("owner", _text(view.owner)),
            ("description", _text(view.description)),
            ("tags", _texts(view.tags)),
        ),
    )


def _service(service: FeatureService) -> str:
    rows = [
        _row("ServedFeature", (("view", _text(f.view)), ("feature", _text(f.feature)), ("name", _text(f.name)))) for f in service.features
    ]
    return _call(
        "FeatureService",
        (
            ("name", _text(service.name)),
            ("team", _text(service.team)),
            ("owner", _text(service.owner)),
            ("features", _several(rows)),
            ("description", _text(service.description)),
            ("tags", _texts(service.tags)),
        ),
    )
