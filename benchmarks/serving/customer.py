"""A model whose 20 columns are all looked up, in one view, for one entity: the request is a customer's number and nothing else."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
from benchmarks.classifier import COLUMNS

from leverframe.core.model import GOLDEN, SIGNATURE, Golden
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature, ViewBinding
from leverframe.features.online.online import EntityRows, ViewMeta, entity_keys
from leverframe.features.online.online_lmdb import LmdbOnlineStore

NAME, ENTITY, VIEW = "customer", "customer", "customer_facts"
CUSTOMERS = tuple(f"customer-{number:06d}" for number in range(50_000))
FEATURES = tuple(f"fact_{i}" for i in range(COLUMNS))
SIGNATURE_OF_CUSTOMER = Signature(
    request=(RequestField(name=ENTITY, datatype="BYTES", entity=True),),
    columns=tuple(InputColumn(name=feature, source="view", view=VIEW, feature=feature) for feature in FEATURES),
    views=(ViewBinding(view=VIEW, view_version="1", entity_fields=(ENTITY,), features=FEATURES),),
    outputs=(OutputField(name="probability"),),
)


def files_of(plain: Mapping[str, bytes]) -> Mapping[str, bytes]:
    """The files of a bundle with the trees of ``plain``, another model of 20 columns."""
    golden = msgspec.json.decode(plain[GOLDEN], type=Golden)
    changed = {
        SIGNATURE: msgspec.json.encode(SIGNATURE_OF_CUSTOMER),
        GOLDEN: msgspec.json.encode(msgspec.structs.replace(golden, columns=FEATURES)),
    }
    return {**plain, **changed}


def fill_store(home: Path) -> None:
    """Write every customer's values, as a feature pipeline would."""
    store = LmdbOnlineStore(home / "online")
    keys, moments = entity_keys([CUSTOMERS]), np.ones(len(CUSTOMERS), dtype=np.int64)
    rows = EntityRows(keys, moments, moments, np.random.default_rng(5).normal(size=(len(CUSTOMERS), COLUMNS)))
    store.write(rows, ViewMeta(view=VIEW, view_version="1", features=FEATURES, watermark_us=1))
    store.close()


def bodies(count: int) -> list[bytes]:
    """``count`` requests of one row, each of another customer."""
    chosen = np.random.default_rng(13).choice(CUSTOMERS, count, replace=False).tolist()
    return [
        msgspec.json.encode({"inputs": [{"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [customer]}]}) for customer in chosen
    ]
