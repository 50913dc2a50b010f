"""Run by the Python that has Feast: ``python export_feast.py REPO_DIR OUT.json`` writes what the repository declares.

Imports nothing of ours.
Definitions are read from the repository's Python files, as ``feast apply`` reads them; the registry is not needed and not changed.
"""

import json
import sys
from pathlib import Path
from typing import Any


def main(repo: str, out: str) -> None:
    """Write the declarations of the repository in ``repo`` to ``out``."""
    import os

    os.chdir(repo)
    sys.path.insert(0, os.getcwd())
    from feast import FeatureStore, __version__
    from feast.repo_operations import parse_repo

    here = Path.cwd()
    config = FeatureStore(repo_path=str(here)).config
    found = parse_repo(here)
    document = {
        "version": __version__,
        "project": config.project,
        "key_version": int(config.entity_key_serialization_version),
        "online": _online(config.online_store),
        "entities": [_entity(entity) for entity in _by_name(found.entities) if entity.name != "__dummy"],
        "views": [
            *(_view(view, "batch") for view in _by_name(found.feature_views)),
            *(_view(view, "stream") for view in _by_name(found.stream_feature_views)),
        ],
        "on_demand": [_on_demand(view) for view in _by_name(found.on_demand_feature_views)],
        "services": [_service(service) for service in _by_name(found.feature_services)],
    }
    Path(out).write_text(json.dumps(document))


def _by_name(things: Any) -> list[Any]:
    """In one order whatever Feast's sets do, so that importing twice writes the same files."""
    return sorted(things, key=lambda thing: str(thing.name))


def _online(store: Any) -> dict[str, str]:
    kind = str(getattr(store, "type", ""))
    if kind == "sqlite":
        return {"kind": "sqlite", "address": str(store.path)}
    if kind == "redis":
        # host:port,option=value: a password is an option and stays where it is.
        parts = str(store.connection_string).split(",")
        scheme = "rediss" if "ssl=true" in [part.strip().lower() for part in parts] else "redis"
        database = next((part.partition("=")[2] for part in parts if part.strip().startswith("db=")), "0")
        return {"kind": "redis", "address": f"{scheme}://{parts[0].strip()}/{database}"}
    return {"kind": kind or "none", "address": ""}


def _words(thing: Any) -> dict[str, Any]:
    return {
        "name": thing.name,
        "description": thing.description or "",
        "owner": getattr(thing, "owner", "") or "",
        "tags": {str(key): str(value) for key, value in (thing.tags or {}).items()},
    }


def _entity(entity: Any) -> dict[str, Any]:
    return {**_words(entity), "join_key": entity.join_key, "value_type": entity.value_type.name}


def _view(view: Any, kind: str) -> dict[str, Any]:
    source = view.batch_source
    return {
        **_words(view),
        "kind": kind,
        "entities": [name for name in view.entities if name != "__dummy"],
        "ttl_s": view.ttl.total_seconds() if view.ttl else 0.0,
        "online": bool(view.online),
        "features": [_field(field) for field in _by_name(view.schema)],
        "source": {
            "name": source.name or view.name,
            "kind": type(source).__name__,
            "path": str(getattr(source, "path", "") or ""),
            "timestamp_field": source.timestamp_field or "",
            "created": source.created_timestamp_column or "",
            "field_mapping": dict(source.field_mapping or {}),
        },
    }


def _field(field: Any) -> dict[str, str]:
    return {"name": field.name, "dtype": str(field.dtype), "description": field.description or ""}


def _on_demand(view: Any) -> dict[str, Any]:
    return {**_words(view), "features": [field.name for field in _by_name(view.features)], "mode": str(getattr(view, "mode", ""))}


def _service(service: Any) -> dict[str, Any]:
    taken = [
        {
            "view": projection.name,
            "alias": projection.name_alias or "",
            "features": [field.name for field in projection.features],
            "join_keys": dict(projection.join_key_map or {}),
        }
        for projection in service.feature_view_projections
    ]
    return {**_words(service), "takes": taken}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
