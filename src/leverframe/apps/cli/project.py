"""A team's project folder as records: its ``features.py`` and ``models.py`` run here, on the team's machine; only records are sent."""

import importlib.util
import sys
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeVar

import msgspec
import yaml

from leverframe.apps.platform.views import Declarations
from leverframe.core.errors import Conflict, InvalidInput, NotFound
from leverframe.core.feature import FeatureView
from leverframe.core.feature_example import FeatureTest
from leverframe.core.feature_service import Entity, FeatureService
from leverframe.core.model import ModelSpec

T = TypeVar("T", FeatureView, ModelSpec, Entity, FeatureService, FeatureTest)


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
    entities: tuple[Entity, ...] = ()
    services: tuple[FeatureService, ...] = ()
    tests: tuple[FeatureTest, ...] = ()

    @property
    def declarations(self) -> Declarations:
        """What is sent to the platform."""
        return Declarations(
            contracts=tuple(contract.text for contract in self.contracts),
            entities=self.entities,
            views=self.views,
            services=self.services,
            models=self.models,
        )


def load_project(folder: Path) -> Project:
    """Read ``contracts/*.yaml`` and import ``features.py``, ``feature_tests.py`` and ``models.py``.

    Raises
    ------
    NotFound: there is none of them.    InvalidInput: a contract is not YAML.    Conflict: two different records share a name.
    """
    files = sorted((folder / "contracts").glob("*.y*ml"))
    modules = [folder / name for name in ("features.py", "feature_tests.py", "models.py") if (folder / name).is_file()]
    if not files and not modules:
        raise NotFound(
            "no project here", where=str(folder), expected="contracts/*.yaml, features.py or models.py", next_step="lever apply DIR"
        )
    imported = [_import(path) for path in modules]
    return Project(
        contracts=tuple(_contract(path) for path in files),
        views=_declared(imported, FeatureView),
        models=_declared(imported, ModelSpec),
        entities=_declared(imported, Entity),
        services=_declared(imported, FeatureService),
        tests=_declared(imported, FeatureTest),
    )


class _FromSource(SourceFileLoader):
    """Runs what the file says now: kept bytecode is told apart by size and whole second, and a quick edit changes neither."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _import(path: Path) -> ModuleType:
    """Run the team's file; its siblings are importable by their bare names, and by the package's name where there is one."""
    parents = [folder for folder in (path.parent, *path.parents) if not (folder / "__init__.py").exists()]
    root = parents[0]
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    for folder in (str(path.parent), str(root)):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    spec = importlib.util.spec_from_file_location(name, path, loader=_FromSource(name, str(path)))
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
