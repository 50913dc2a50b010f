"""A model in the shape of the flight-delay one: 20 columns, 15 looked up in 4 views, 2 computed from the request, 3 categories."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np

from leverframe.core.model import GOLDEN, SIGNATURE, Golden
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature, ViewBinding
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore

NAME = "flight"
ORIGINS = ("EWR", "JFK", "LGA")
CARRIERS = tuple(f"C{number}" for number in range(16))
DESTINATIONS = tuple(f"D{number:02d}" for number in range(100))
TAILS = tuple(f"N{number:05d}" for number in range(3300))
ENTITIES = {"origin": ORIGINS, "carrier": CARRIERS, "tailnum": TAILS}
VIEWS = {"origin_delays": ("origin", 4), "carrier_delays": ("carrier", 4), "origin_weather": ("origin", 4), "plane_facts": ("tailnum", 3)}
_CATEGORIES = {"origin": ORIGINS, "carrier": CARRIERS, "dest": DESTINATIONS}
_ZONE = {"zone": "America/New_York"}
_FIRST_S, _SPAN_S = 1_357_000_000, 31_000_000

BINDINGS = tuple(
    ViewBinding(view=view, view_version="1", entity_fields=(entity,), features=tuple(f"{view}_{i}" for i in range(width)))
    for view, (entity, width) in VIEWS.items()
)
SIGNATURE_OF_FLIGHT = Signature(
    request=(
        *(RequestField(name=name, datatype="BYTES", entity=name in ENTITIES) for name in ("origin", "carrier", "dest", "tailnum")),
        RequestField(name="sched_dep_s", datatype="INT64"),
    ),
    columns=(
        *(InputColumn(name=name, source="request", field=name, categories=known) for name, known in _CATEGORIES.items()),
        InputColumn(name="minute", source="request_time", field="sched_dep_s", function="minute_of_day", params=_ZONE),
        InputColumn(name="weekday", source="request_time", field="sched_dep_s", function="day_of_week", params=_ZONE),
        *(InputColumn(name=f, source="view", view=binding.view, feature=f) for binding in BINDINGS for f in binding.features),
    ),
    views=BINDINGS,
    outputs=(OutputField(name="probability"),),
)


def files_of(plain: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The files of a bundle with the trees of ``plain``, another model of 20 columns."""
    golden = msgspec.json.decode(plain[GOLDEN], type=Golden)
    names = tuple(column.name for column in SIGNATURE_OF_FLIGHT.columns)
    changed = {
        SIGNATURE: msgspec.json.encode(SIGNATURE_OF_FLIGHT),
        GOLDEN: msgspec.json.encode(msgspec.structs.replace(golden, columns=names)),
    }
    return {**plain, **changed}


def fill_store(home: Path) -> None:
    """Write every view's values, as a feature pipeline would."""
    rng = np.random.default_rng(5)
    store = LmdbOnlineStore(home / "online")
    for binding in BINDINGS:
        keys = entity_keys([ENTITIES[binding.entity_fields[0]]])
        moments = np.ones(len(keys), dtype=np.int64)
        rows = EntityRows(keys, moments, moments, rng.normal(size=(len(keys), len(binding.features))))
        store.write(rows, ViewMeta(view=binding.view, view_version="1", features=binding.features, watermark_us=1))
    store.close()


def bodies(rows: int, count: int) -> list[bytes]:
    """``count`` distinct requests of ``rows`` flights each."""
    rng = np.random.default_rng(13)
    values = {"origin": ORIGINS, "carrier": CARRIERS, "dest": DESTINATIONS, "tailnum": TAILS}
    made = []
    for _ in range(count):
        inputs: list[dict[str, object]] = [
            {"name": name, "shape": [rows], "datatype": "BYTES", "data": rng.choice(known, rows).tolist()} for name, known in values.items()
        ]
        moments = (_FIRST_S + rng.integers(0, _SPAN_S, rows)).tolist()
        inputs.append({"name": "sched_dep_s", "shape": [rows], "datatype": "INT64", "data": moments})
        made.append(msgspec.json.encode({"inputs": inputs}))
    return made
