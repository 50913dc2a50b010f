"""A team's project folder as records: its ``features.py`` and ``models.py`` run here, on the team's machine; only records are sent."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TypeVar

import msgspec
import yaml

from leverframe.apps.client import Client
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.model import ModelSpec

T = TypeVar("T", FeatureView, ModelSpec)


class Contract(msgspec.Struct, frozen=True, kw_only=True):
    """A contract file: its text, and the names and version read from it."""

    file: str
    datasets: tuple[str, ...]
    version: str
    text: str


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """What a project folder declares."""

    contracts: tuple[Contract, ...]
    views: tuple[FeatureView, ...]
    models: tuple[ModelSpec, ...]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the plan: ``change`` is added, changed or unchanged; ``fields`` are those that differ."""

    kind: str
    name: str
    change: str
    fields: tuple[str, ...] = ()


def load_project(folder: Path) -> Project:
    """Read ``contracts/*.yaml`` and import ``features.py`` and ``models.py``.

    Raises
    ------
    NotFound: there is none of them.    InvalidInput: a contract is not YAML.    Conflict: two different records share a name.
    """
    files = sorted((folder / "contracts").glob("*.y*ml"))
    modules = [folder / name for name in ("features.py", "models.py") if (folder / name).is_file()]
    if not files and not modules:
        raise NotFound(
            "no project here", where=str(folder), expected="contracts/*.yaml, features.py or models.py", next_step="lever apply DIR"
        )
    imported = [_import(path) for path in modules]
    return Project(
        contracts=tuple(_contract(path) for path in files),
        views=_declared(imported, FeatureView),
        models=_declared(imported, ModelSpec),
    )


def _import(path: Path) -> ModuleType:
    """Run the team's file; its siblings are importable by their bare names, and by the package's name where there is one."""
    parents = [folder for folder in (path.parent, *path.parents) if not (folder / "__init__.py").exists()]
    root = parents[0]
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    for folder in (str(path.parent), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _declared(modules: list[ModuleType], kind: type[T]) -> tuple[T, ...]:
    found: dict[str, T] = {}
    for module in modules:
        for record in _records(vars(module).values(), kind):
            if found.setdefault(record.name, record) != record:
                raise Conflict(f"two different {kind.__name__} share a name", where=record.name, next_step="rename one of them")
    return tuple(found.values())


def _records(values: object, kind: type[T]) -> Iterator[T]:
    for value in values:  # type: ignore[attr-defined]
        if isinstance(value, kind):
            yield value
        elif isinstance(value, list | tuple):
            yield from _records(value, kind)


def _contract(path: Path) -> Contract:
    text = path.read_text()
    try:
        document = yaml.safe_load(text)
        tables = document.get("schema") or [{"name": document.get("name", path.stem)}]
        names = tuple(str(table["name"]) for table in tables)
        return Contract(file=path.name, datasets=names, version=str(document.get("version", "")), text=text)
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as exc:
        raise InvalidInput("not a data contract", where=str(path), expected="an ODCS document (YAML)") from exc


def _compare(kind: str, name: str, new: msgspec.Struct, old: msgspec.Struct | None) -> Step:
    if old is None:
        return Step(kind=kind, name=name, change="added")
    fields = tuple(field for field in new.__struct_fields__ if getattr(new, field) != getattr(old, field))
    return Step(kind=kind, name=name, change="changed" if fields else "unchanged", fields=fields)


def plan(project: Project, client: Client) -> list[Step]:
    """What applying ``project`` would change; a contract of a known version is sent all the same, and the platform says if it differs."""
    versions = {dataset.name: dataset.contract_version for dataset in client.data.datasets()}
    views = {shown.view.name: shown.view for shown in client.features.views()}
    models = {spec.name: spec for spec in client.training.models()}
    steps = []
    for contract in project.contracts:
        for dataset in contract.datasets:
            known = versions.get(dataset)
            change = "added" if known is None else "unchanged" if known == contract.version else "changed"
            fields = (f"version {known} → {contract.version}",) if change == "changed" else ()
            steps.append(Step(kind="contract", name=dataset, change=change, fields=fields))
    steps += [_compare("feature view", view.name, view, views.get(view.name)) for view in project.views]
    steps += [_compare("model", spec.name, spec, models.get(spec.name)) for spec in project.models]
    return steps


def send(project: Project, steps: list[Step], client: Client) -> list[dict[str, object]]:
    """Apply what differs, in the order things need each other; returns what the platform said."""
    changed = {(step.kind, step.name) for step in steps if step.change != "unchanged"}
    said = [client.data.apply_contract(contract.text) for contract in project.contracts]
    said += [client.features.apply(view) for view in project.views if ("feature view", view.name) in changed]
    said += [client.training.apply_model(spec) for spec in project.models if ("model", spec.name) in changed]
    return said
