"""A snapshot described for machines outside: Croissant (JSON-LD on schema.org).

Source: MLCommons Croissant format specification 1.0.
"""

from typing import Any

from leverframe.core.digest import Digest
from leverframe.data.contracts import Contract

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
    "extract": "cr:extract",
    "column": "cr:column",
    "key": "cr:key",
}


def describe_snapshot(contract: Contract, *, dataset: str, digest: Digest, size: int, created: str) -> dict[str, Any]:
    """The Croissant document of one Parquet blob: its checksum and each column (a timestamp kept in an integer says Integer)."""
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"{dataset}/{column.name}",
            "name": column.name,
            "description": column.description,
            "dataType": "sc:Integer" if column.physical_type.startswith("int") else _DATA_TYPES[column.logical_type],
            "source": {"fileObject": {"@id": "rows"}, "extract": {"column": column.name}},
        }
        for column in contract.columns
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
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": "rows",
                "name": f"{dataset}.parquet",
                "contentUrl": digest,
                "contentSize": f"{size} B",
                "encodingFormat": "application/vnd.apache.parquet",
                "sha256": digest.removeprefix("sha256:"),
            }
        ],
        "recordSet": [records],
    }
