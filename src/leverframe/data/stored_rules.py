"""What a contract still asks of rows that were taken in: of a personal column whose values were treated, only that a value is there."""

import msgspec

from leverframe.data.contract.contracts import Contract
from leverframe.data.contract.sql_columns import sql_columns
from leverframe.data.personal import stored_columns


def stored_contract(contract: Contract) -> Contract:
    """``contract`` as rows of a snapshot can keep it: without the rules about values that are stored hashed, masked or not at all.

    They were checked when the rows were offered, and cannot be checked again. Whether a hash stands there twice still can.
    """
    treated = {column.name for column in contract.columns if column.treatment != "keep"}
    plain = {
        "minimum": None,
        "maximum": None,
        "exclusive_minimum": None,
        "exclusive_maximum": None,
        "length_min": None,
        "length_max": None,
        "pattern": "",
        "enumeration": (),
        "references": "",
    }
    hidden = {**plain, "required": False, "unique": False, "primary_key": False, "missing_share_max": None}
    facts = {column.name: hidden if column.treatment == "mask" else plain for column in contract.columns if column.treatment != "keep"}
    columns = tuple(msgspec.structs.replace(c, **facts.get(c.name, {})) for c in stored_columns(contract))
    return msgspec.structs.replace(
        contract,
        columns=columns,
        sql_rules=tuple(rule for rule in contract.sql_rules if not treated & sql_columns(rule.bad_when)),
        metrics=tuple(m for m in contract.metrics if not treated.intersection(m.columns) or m.metric == "duplicateValues"),
    )
