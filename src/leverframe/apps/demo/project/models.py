"""The model of the flight-delay project: will this flight arrive more than 15 minutes late, asked one hour before departure."""

from collections.abc import Mapping

from leverframe.apps.demo.project.features import OWNER, VIEWS
from leverframe.apps.demo.project.prepare import HOME_ZONE
from leverframe.core.model import ModelSpec
from leverframe.core.schema import InputColumn, OutputField, RequestField
from leverframe.core.verdict import GateRule

ORIGINS = ("EWR", "JFK", "LGA")
CARRIERS = ("9E", "AA", "AS", "B6", "DL", "EV", "F9", "FL", "HA", "MQ", "OO", "UA", "US", "VX", "WN", "YV")
_DESTINATIONS = """
    ALB ATL AUS BDL BNA BOS BQN BTV BUF BUR BWI CAK CHS CLE CLT CMH CVG DAY DCA DEN DFW DTW EGE FLL GRR GSO GSP HNL HOU IAD
    IAH IND JAX LAS LAX LGB MCI MCO MDW MEM MHT MIA MKE MSN MSP MSY OMA ORD ORF PBI PDX PHL PHX PIT PSE PVD PWM RDU RIC ROC
    RSW SAN SAT SAV SDF SEA SFO SJU SLC SNA SRQ STL STT SYR TPA TYS XNA
"""
DESTINATIONS = tuple(_DESTINATIONS.split())
"""Airports with at least 90 flights from New York in January to March; any other is "unseen" to the model."""

REQUEST = (
    RequestField(name="origin", datatype="BYTES", entity=True, description="airport of departure (IATA code)", example="JFK"),
    RequestField(name="carrier", datatype="BYTES", entity=True, description="airline (IATA code)", example="B6"),
    RequestField(
        name="tailnum", datatype="BYTES", entity=True, description="aircraft registration; empty when not known", example="N14228"
    ),
    RequestField(name="dest", datatype="BYTES", description="airport of arrival (IATA code)", example="BOS"),
    RequestField(name="distance", datatype="FP64", description="miles", example=187.0),
    RequestField(name="sched_dep_s", datatype="INT64", description="scheduled departure, seconds since 1970-01-01 UTC", example=1364814000),
)

GATES = (
    GateRule(metric="roc_auc", op=">=", threshold=0.68, bound="lower"),
    GateRule(metric="roc_auc_gain", op=">=", threshold=0.01, bound="lower"),
    GateRule(metric="log_loss", op="<=", threshold=0.66, bound="upper"),
    GateRule(metric="roc_auc", op=">=", threshold=0.60, slice="carrier=*", rows_min=500),
    GateRule(metric="roc_auc", op=">=", threshold=0.66, slice="origin=*", rows_min=500),
    GateRule(metric="calibration_error", op="<=", threshold=0.16, bound="upper"),
)
"""Floors for a broken model, not proof of a good one: they were set with slack after looking at the held-out ends of January to March and
of January to April, so passing there says little. April to June were looked at too while this project was written (to choose
``min_data_in_leaf`` and release margins): only the months after that are untouched.

Seen (March / April): ROC AUC 0.750 (0.741 to 0.760) / 0.711 (0.700 to 0.721); lower bound of the gain over the baseline 0.024 / 0.032; log
loss 0.445 / 0.582; worst carrier with 500 flights 0.685 / 0.656; worst origin 0.725 / 0.690; calibration error 0.017 / 0.100. April had
30 % late flights in the held-out part after 22 % before."""

PARAMS = {
    "num_iterations": 200,
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 400,
}

BAD_UNITS_PREPARE: Mapping[str, str] = {
    f"{view}_mean_{hours}h": f"{view}_mean_{hours}h / 60.0" for view in ("origin_delays", "carrier_delays") for hours in (2, 24)
}
"""A mistake no offline gate can see: someone "improves" the training set to delays in hours, while the online store keeps minutes."""


def _columns() -> tuple[InputColumn, ...]:
    """The input matrix: the calendar, the flight itself, and every feature of every view."""
    local = {"zone": HOME_ZONE}
    calendar = tuple(
        InputColumn(name=name, source="request_time", field="sched_dep_s", function=name, params=local)
        for name in ("minute_of_day", "day_of_week")
    )
    flight = (
        InputColumn(name="distance", source="request", field="distance"),
        InputColumn(name="carrier", source="request", field="carrier", categories=CARRIERS),
        InputColumn(name="origin", source="request", field="origin", categories=ORIGINS),
        InputColumn(name="dest", source="request", field="dest", categories=DESTINATIONS),
    )
    looked_up = tuple(
        InputColumn(name=f"{view.name}_{feature}", source="view", view=view.name, feature=feature)
        for view in VIEWS
        for feature in view.features
    )
    return (*calendar, *flight, *looked_up)


def flight_delay(*, prepare: Mapping[str, str] | None = None, description: str = "") -> ModelSpec:
    """The spec of ``flight-delay``.

    Parameters
    ----------
    prepare: training column to SQL expression, applied before fitting only; ``BAD_UNITS_PREPARE`` makes the bad version of the story.
    description: replaces the usual description.
    """
    return ModelSpec(
        name="flight-delay",
        description=description
        or "Probability that a flight leaving New York arrives more than 15 minutes late, one hour before departure.",
        owner=OWNER,
        team="flights",
        runbook="docs/runbooks/flight-delay.md",
        dataset="flights",
        label="late",
        request=REQUEST,
        columns=_columns(),
        outputs=(OutputField(name="probability", description="probability of arriving more than 15 minutes late"),),
        risk_tier="low",
        params=dict(PARAMS),
        prepare=dict(prepare or {}),
        gates=GATES,
        slices=("carrier", "origin"),
        baseline="origin_delays_mean_2h",
        intended_use="Warn passengers and connecting services about a likely late arrival.",
        limitations="Learned on 2013 departures from three airports; cancelled and diverted flights have no label and are not predicted.",
    )


FLIGHT_DELAY = flight_delay()
