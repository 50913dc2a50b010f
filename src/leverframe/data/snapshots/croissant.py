"""A snapshot described for machines outside: Croissant (JSON-LD on schema.org).

Source: MLCommons Croissant format specification 1.0.
"""

from collections.abc import Sequence
from typing import Any

from leverframe.core.dataset import SnapshotPart
from leverframe.core.digest import Digest
from leverframe.data.contract.contracts import Contract
from leverframe.data.personal import stored_columns

_DATA_TYPES = {
    "string": "sc:Text",
    "integer": "sc:Integer",
    "number": "sc:Float",
    "boolean": "sc:Boolean",
    "date": "sc:Date",
    "timestamp": "sc:DateTime",
}
_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "sc": "https://schema.org/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "recordSet": "cr:recordSet",
    "field": "cr:field",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "source": "cr:source",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "includes": "cr:includes",
    "extract": "cr:extract",
    "column": "cr:column",
    "key": "cr:key",
}


def describe_snapshot(contract: Contract, *, dataset: str, digest: Digest, parts: Sequence[SnapshotPart], created: str) -> dict[str, Any]:
    """The Croissant document of a snapshot: each part with its checksum, each stored column (a timestamp in an integer says Integer)."""
    origin = {"fileObject": {"@id": "rows"}} if len(parts) == 1 else {"fileSet": {"@id": "rows"}}
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{dataset}/{column.name}",
            "name": column.name,
            "description": column.description,
            "dataType": "sc:Integer" if column.physical_type.startswith("int") else _DATA_TYPES[column.logical_type],
            "source": {**origin, "extract": {"column": column.name}},
        }
        for column in stored_columns(contract)
    ]
    records: dict[str, Any] = {"@type": "cr:RecordSet", "@id": dataset, "name": dataset, "field": fields}
    if contract.primary_key:
        records["key"] = [{"@id": f"{dataset}/{name}"} for name in contract.primary_key]
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": dataset,
        "description": contract.description,
        "version": contract.version,
        "dateCreated": created,
        "creator": {"@type": "sc:Organization", "name": contract.team},
        "identifier": digest,
        "distribution": _distribution(dataset, parts),
        "recordSet": [records],
    }


def _distribution(dataset: str, parts: Sequence[SnapshotPart]) -> list[dict[str, Any]]:
    """One file, or the files and the set they make."""
    names = ["rows"] if len(parts) == 1 else [f"part-{index}" for index in range(len(parts))]
    files: list[dict[str, Any]] = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": f"{dataset}.parquet" if name == "rows" else f"{dataset}.{name}.parquet",
            "contentUrl": part.digest,
            "contentSize": f"{part.bytes} B",
            "encodingFormat": "application/vnd.apache.parquet",
            "sha256": part.digest.removeprefix("sha256:"),
        }
        for name, part in zip(names, parts, strict=True)
    ]
    if len(parts) > 1:
        together = [{"@id": name} for name in names]
        files.append(
            {
                "@type": "cr:FileSet",
                "@id": "rows",
                "containedIn": together,
                "encodingFormat": "application/vnd.apache.parquet",
                "includes": "*",
            }
        )
    return files
