"""OpenLineage's records, those that are sent (decision 0029).

Source: OpenLineage specification 2-0-2 (https://openlineage.io/spec/2-0-2/OpenLineage.json) and its facets.
"""

from typing import Literal

import msgspec

from leverframe import __version__

PRODUCER = f"https://leverframe.invalid/{__version__}"
"""Who made an event: a URI that names the program and can never be anybody's host (RFC 2606)."""
SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"

EventType = Literal["START", "COMPLETE", "ABORT", "FAIL"]


class Facet(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Base of every facet; ``schema_url`` says which."""

    producer: str = msgspec.field(default=PRODUCER, name="_producer")
    schema_url: str = msgspec.field(name="_schemaURL")


def _schema(version: str, name: str) -> str:
    return f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}"


class SchemaField(msgspec.Struct, frozen=True, kw_only=True):
    """A column and its type."""

    name: str
    type: str


class SchemaFacet(Facet, frozen=True, kw_only=True):
    """The columns of a dataset."""

    schema_url: str = msgspec.field(default=_schema("1-1-1", "SchemaDatasetFacet"), name="_schemaURL")
    fields: tuple[SchemaField, ...]


class VersionFacet(Facet, frozen=True, kw_only=True):
    """Which version of a dataset: a snapshot's or a bundle's digest."""

    schema_url: str = msgspec.field(default=_schema("1-0-1", "DatasetVersionDatasetFacet"), name="_schemaURL")
    dataset_version: str


class Transformation(msgspec.Struct, frozen=True, kw_only=True):
    """How an input column reaches an output column."""

    type: Literal["DIRECT", "INDIRECT"]
    subtype: str
    description: str = ""


class InputField(msgspec.Struct, frozen=True, kw_only=True):
    """A column that an output column is made from."""

    namespace: str
    name: str
    field: str
    transformations: tuple[Transformation, ...] = ()


class OutputField(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every column that one output column is made from."""

    input_fields: tuple[InputField, ...]


class ColumnLineageFacet(Facet, frozen=True, kw_only=True):
    """Output columns and what each is made from."""

    schema_url: str = msgspec.field(default=_schema("1-2-0", "ColumnLineageDatasetFacet"), name="_schemaURL")
    fields: dict[str, OutputField]


class Assertion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule of a contract and whether the rows kept it."""

    assertion: str
    success: bool
    column: str = ""


class AssertionsFacet(Facet, frozen=True, kw_only=True):
    """What a contract said of the rows that were offered."""

    schema_url: str = msgspec.field(default=_schema("1-0-1", "DataQualityAssertionsDatasetFacet"), name="_schemaURL")
    assertions: tuple[Assertion, ...]


class StatisticsFacet(Facet, frozen=True, kw_only=True):
    """How much was written."""

    schema_url: str = msgspec.field(default=_schema("1-0-2", "OutputStatisticsOutputDatasetFacet"), name="_schemaURL")
    row_count: int
    size: int = 0


class ErrorFacet(Facet, frozen=True, kw_only=True):
    """Why a run failed."""

    schema_url: str = msgspec.field(default=_schema("1-0-1", "ErrorMessageRunFacet"), name="_schemaURL")
    message: str
    programming_language: str = "Python"


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """Who answers for a dataset."""

    name: str


class OwnershipFacet(Facet, frozen=True, kw_only=True):
    """Who answers for a dataset."""

    schema_url: str = msgspec.field(default=_schema("1-0-1", "OwnershipDatasetFacet"), name="_schemaURL")
    owners: tuple[Owner, ...]


class Dataset(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A dataset that was read or written, with what is known of it."""

    namespace: str
    name: str
    facets: dict[str, Facet] = {}
    input_facets: dict[str, Facet] = {}
    output_facets: dict[str, Facet] = {}


class Run(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One execution of a job."""

    run_id: str
    facets: dict[str, Facet] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What was executed."""

    namespace: str
    name: str


class RunEvent(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change of a run's state."""

    event_type: EventType
    event_time: str
    run: Run
    job: Job
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    producer: str = PRODUCER
    schema_url: str = msgspec.field(default=RUN_EVENT, name="schemaURL")
