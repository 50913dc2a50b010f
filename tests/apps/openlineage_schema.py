"""The part of OpenLineage's JSON schema that what is sent has to keep, written down from the specification.

Source: https://openlineage.io/spec/2-0-2/OpenLineage.json (RunEvent, Run, Job, Dataset, BaseFacet) and the facets' own documents.
"""

_TEXT = {"type": "string"}
_URI = {"type": "string", "format": "uri", "pattern": "^https?://"}


def _facet(**properties):
    return {
        "type": "object",
        "required": ["_producer", "_schemaURL", *properties],
        "properties": {"_producer": _URI, "_schemaURL": _URI, **properties},
    }


def _list(*required, **properties):
    return {"type": "array", "items": {"type": "object", "required": list(required), "properties": properties}}


_STEPS = _list("type", type={"enum": ["DIRECT", "INDIRECT"]}, subtype=_TEXT, description=_TEXT)
_FROM = _list("namespace", "name", "field", namespace=_TEXT, name=_TEXT, field=_TEXT, transformations=_STEPS)
_COLUMNS = {"type": "object", "additionalProperties": {"type": "object", "required": ["inputFields"], "properties": {"inputFields": _FROM}}}
FACETS = {
    "schema": _facet(fields=_list("name", name=_TEXT, type=_TEXT)),
    "version": _facet(datasetVersion=_TEXT),
    "columnLineage": _facet(fields=_COLUMNS),
    "dataQualityAssertions": _facet(assertions=_list("assertion", "success", assertion=_TEXT, success={"type": "boolean"}, column=_TEXT)),
    "outputStatistics": _facet(rowCount={"type": "integer"}),
    "errorMessage": _facet(message=_TEXT, programmingLanguage=_TEXT),
    "ownership": _facet(owners=_list("name", name=_TEXT)),
}


def _facets(*names):
    return {"type": "object", "properties": {name: FACETS[name] for name in names}, "additionalProperties": False}


_OF_DATASETS = {"namespace": _TEXT, "name": _TEXT, "facets": _facets("schema", "version", "columnLineage", "ownership")}
_INPUTS = _list("namespace", "name", **_OF_DATASETS, inputFacets=_facets("dataQualityAssertions"))
_OUTPUTS = _list("namespace", "name", **_OF_DATASETS, outputFacets=_facets("outputStatistics"))
RUN_EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["eventType", "eventTime", "run", "job", "producer", "schemaURL"],
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {"runId": {"type": "string", "format": "uuid"}, "facets": _facets("errorMessage")},
        },
        "job": {"type": "object", "required": ["namespace", "name"], "properties": {"namespace": _TEXT, "name": _TEXT}},
        "inputs": _INPUTS,
        "outputs": _OUTPUTS,
        "producer": _URI,
        "schemaURL": _URI,
    },
    "additionalProperties": False,
}
