"""A contract file's text as an Open Data Contract Standard document, bounded and with every fault of form reported at once.

Source: Open Data Contract Standard v3 (Bitol, LF AI & Data).
"""

import difflib
import inspect
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
import yaml
from open_data_contract_standard.model import OpenDataContractStandard

from leverframe.core.errors import Fault, InvalidInput, LimitExceeded

BYTES_MAX = 1_000_000
NODES_MAX = 50_000
DEPTH_MAX = 30


class _UniqueKeys(yaml.SafeLoader):
    """Builds plain values only, and refuses a key given twice (YAML would silently keep the last)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A dict of the node's pairs."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {name!r} is given twice", key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


def read_document(data: bytes) -> tuple[OpenDataContractStandard | None, list[Fault]]:
    """The document in ``data`` and everything wrong with its form; None when it cannot be understood at all.

    Raises
    ------
    LimitExceeded: more than 1 MB, 50,000 nodes or 30 levels.
    InvalidInput: not UTF-8, not YAML, an alias, a key twice, or not a mapping.
    """
    raw = load_mapping(data, "contract file")
    faults = list(_unknown_keys(raw, OpenDataContractStandard, ""))
    known = {key: value for key, value in raw.items() if key in _fields(OpenDataContractStandard)}
    try:
        return OpenDataContractStandard.model_validate(known), faults
    except pydantic.ValidationError as error:
        for item in error.errors(include_url=False, include_context=False):
            where = ".".join(str(part) for part in item["loc"])
            faults.append(Fault(where=where, what="not as the standard says", expected=item["msg"], got=repr(item["input"])[:80]))
        return None, faults


def load_mapping(data: bytes, what: str) -> dict[str, Any]:
    """The mapping of plain values in a YAML file.

    Parameters
    ----------
    what: what the file should be, for messages.

    Raises
    ------
    LimitExceeded: more than 1 MB, 50,000 nodes or 30 levels.
    InvalidInput: not UTF-8, not YAML, an alias, a tag, a key twice, or not a mapping.
    """
    if len(data) > BYTES_MAX:
        raise LimitExceeded(f"{what} is too large", where=what, expected=f"at most {BYTES_MAX} bytes", got=str(len(data)))
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{what} is not UTF-8", where=f"byte {error.start}", next_step="save the file as UTF-8") from error
    try:
        _check_events(text, what)
        raw = yaml.load(text, _UniqueKeys)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError) as error:  # a date such as 2001-99-99 is a ValueError of the loader
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else what
        raise InvalidInput(f"{what} is not valid YAML", where=where, got=str(getattr(error, "problem", error))[:200]) from error
    if not isinstance(raw, dict):
        raise InvalidInput(f"{what} is not a mapping", where=what, expected="keys with values", got=type(raw).__name__)
    return {str(key): value for key, value in raw.items()}


def _check_events(text: str, what: str) -> None:
    """Refuses bombs before anything is built: aliases multiply, depth recurses."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, yaml.SafeLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if isinstance(event, yaml.AliasEvent):
            raise InvalidInput(f"{what} uses a YAML alias", where=f"event {count}", next_step="write it out")
        if count > NODES_MAX or depth > DEPTH_MAX:
            raise LimitExceeded(f"{what} is too deep or has too many nodes", expected=f"{NODES_MAX} nodes, {DEPTH_MAX} levels")


def _fields(model: type[pydantic.BaseModel]) -> dict[str, Any]:
    """Key in the file to annotation, for one model of the standard."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _unknown_keys(raw: Mapping[str, Any], model: type[pydantic.BaseModel], where: str) -> Iterator[Fault]:
    """A misspelt key would be a promise nobody keeps, so each is a fault (the standard's own models ignore most of them)."""
    fields = _fields(model)
    for key, value in raw.items():
        place = f"{where}.{key}" if where else str(key)
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            yield Fault(where=place, what="the standard has no such key", expected=close[0] if close else "", got=str(key)[:80])
            continue
        inner = _inner_model(fields[key])
        if inner is None:
            continue
        for index, item in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(item, dict):
                yield from _unknown_keys(item, inner, f"{place}.{index}" if isinstance(value, list) else place)


def _inner_model(annotation: Any) -> type[pydantic.BaseModel] | None:
    """The first model inside an annotation such as ``list[SchemaProperty] | None``."""
    if inspect.isclass(annotation) and issubclass(annotation, pydantic.BaseModel):
        return annotation
    for argument in typing.get_args(annotation):
        found = _inner_model(argument)
        if found is not None:
            return found
    return None
