"""What goes into a model and what comes out: tensors as the Open Inference Protocol names them.

Source: Open Inference Protocol v2 (KServe), "Tensor Data Types".
"""

from typing import Literal

import msgspec

DataType = Literal[
    "BOOL",
    "UINT8",
    "UINT16",
    "UINT32",
    "UINT64",
    "INT8",
    "INT16",
    "INT32",
    "INT64",
    "FP16",
    "FP32",
    "FP64",
    "BYTES",
]

Example = str | float | int | bool


class RequestField(msgspec.Struct, frozen=True, kw_only=True):
    """One column a caller sends: shape ``[rows]`` or ``[rows, 1]``; of ``width`` over 1 a vector of numbers a row, ``[rows, width]``.

    ``entity`` marks an entity key, used to look features up and never fed to the model by itself.
    """

    name: str
    datatype: DataType
    description: str = ""
    entity: bool = False
    required: bool = True
    example: Example | None = None
    width: int = 1


class FieldRule(msgspec.Struct, frozen=True, kw_only=True):
    """What the data contract of the model's dataset promises about the values of a request field, checked on every row at the serving door.

    Limits are inclusive unless named exclusive; lengths count characters. A missing value breaks ``required`` and nothing else. ``refuse``
    turns the request away, ``warn`` answers it and says so. Values of a ``personal`` field are never shown.
    """

    field: str
    minimum: float | None = None
    maximum: float | None = None
    exclusive_minimum: float | None = None
    exclusive_maximum: float | None = None
    length_min: int | None = None
    length_max: int | None = None
    enumeration: tuple[Example, ...] = ()
    required: bool = False
    severity: Literal["refuse", "warn"] = "refuse"
    personal: bool = False


class OutputField(msgspec.Struct, frozen=True, kw_only=True):
    """One output of a model: ``width`` of its score columns, shape ``[rows]`` for one and ``[rows, width]`` for more.

    Outputs take the model's columns from left to right. One with ``categories`` takes none and is of text: for each row the category at the
    largest column of the output named ``argmax_of``. The first column of the first output is the score that monitoring and releases judge.
    """

    name: str
    datatype: DataType = "FP64"
    description: str = ""
    width: int = 1
    categories: tuple[str, ...] = ()
    argmax_of: str = ""


class InputColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column of the model's input matrix (float64, one row an example) and where its value comes from.

    ``source``:
        ``request``       the request field ``field``, as a number; a BYTES field becomes its position in
                          ``categories`` (unseen = -1), a field of some width gives its element ``element`` (from 0);
        ``request_time``  the vectorised function ``function`` (see ``core.request_time``) of request field ``field``
                          with ``params``;
        ``expression``    the SQL row expression ``sql`` over request fields and looked-up features (``view.feature``): a number or a
                          truth, or a text that becomes its position in ``categories`` (see ``core.expressions``);
        ``view``          feature ``feature`` of feature view ``view``, looked up by the view's entity key.

    ``on_missing`` says what a serving process does without a value: feed NaN, feed ``default``, or refuse the request. A looked-up value
    can also be there but expired (``on_stale``), or its store out of reach (``on_unreachable``); empty means as ``on_missing``. ``degrade``
    feeds the last known value while it is at most ``grace_us`` beyond its time, and says so in the answer; past that it is missing.
    """

    name: str
    source: Literal["request", "request_time", "expression", "view"]
    field: str = ""
    function: str = ""
    params: dict[str, str] = {}
    sql: str = ""
    view: str = ""
    feature: str = ""
    categories: tuple[str, ...] = ()
    element: int = 0
    on_missing: Literal["nan", "default", "refuse"] = "nan"
    default: float | None = None
    on_stale: Literal["", "nan", "default", "refuse", "degrade"] = ""
    on_unreachable: Literal["", "nan", "default", "refuse", "degrade"] = ""
    grace_us: int = 0


class ViewBinding(msgspec.Struct, frozen=True, kw_only=True):
    """How a serving process reads one feature view from the online store.

    ``entity_fields`` name the request fields that make the key, in key order. ``features`` is the stored column order.
    ``ttl_us`` counts from the *event time* of the stored row; 0 means the value never expires.
    """

    view: str
    view_version: str
    entity_fields: tuple[str, ...]
    features: tuple[str, ...]
    ttl_us: int = 0


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a serving process must know to turn a request into the model's input matrix and back.

    ``deterministic`` declares that equal inputs get equal answers, so that a costly model's answers may be kept. ``rules`` come from the
    data contract named ``contract`` (its name and version) as it was when the version was trained.
    """

    request: tuple[RequestField, ...]
    columns: tuple[InputColumn, ...]
    views: tuple[ViewBinding, ...] = ()
    outputs: tuple[OutputField, ...] = (OutputField(name="probability"),)
    deterministic: bool = False
    contract: str = ""
    rules: tuple[FieldRule, ...] = ()
