"""Reads an XGBoost model's bytes, JSON or UBJSON, and refuses every one that XGBoost's own reader should not be given.

That reader trusts its input: nested deeply it overflows its stack, cut short it never returns, and a tree whose children lie outside its
arrays is followed there. Here every length is checked against the bytes that are left, and every tree against its own arrays.

Source: XGBoost, "Introduction to Model IO" and its JSON schema; Universal Binary JSON, draft 12, as XGBoost writes it.
"""

from typing import Any

import msgspec
import numpy as np

from leverframe.core.errors import Integrity

DEPTH_MAX = 24
"""Nesting of a model; XGBoost's own are nested 8 deep. A deeper one is refused."""
TREES_MAX = 100_000
_NUMBERS = {b"d": ">f4", b"D": ">f8", b"i": ">i1", b"U": ">u1", b"I": ">i2", b"l": ">i4", b"L": ">i8"}
_CONSTANTS: dict[bytes, Any] = {b"T": True, b"F": False, b"Z": None}


def _refusal(what: str, expected: str = "", got: str = "") -> Integrity:
    return Integrity(what, where="model.xgboost", expected=expected, got=got, next_step="save the model again with Booster.save_model")


class _Ubjson:
    """A reader of UBJSON with bounds."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def _take(self, size: int) -> bytes:
        if not 0 <= size <= len(self._data) - self._at:
            raise _refusal("not an XGBoost model", expected=f"{size} more bytes", got=str(len(self._data) - self._at))
        self._at += size
        return self._data[self._at - size : self._at]

    def _size(self) -> int:
        """A length: an integer with its marker."""
        marker = self._take(1)
        if marker not in _NUMBERS or marker in b"dD":
            raise _refusal("not an XGBoost model", expected="a length", got=repr(marker))
        return int(self._number(marker))

    def _number(self, marker: bytes) -> Any:
        dtype = np.dtype(_NUMBERS[marker])
        return np.frombuffer(self._take(dtype.itemsize), dtype)[0].item()

    def value(self, depth: int = 0) -> Any:
        """The next value."""
        marker = self._take(1)
        if depth > DEPTH_MAX:
            raise _refusal("the model is nested too deeply", expected=f"at most {DEPTH_MAX} levels")
        if marker == b"{":
            return self._object(depth)
        if marker == b"[":
            return self._array(depth)
        if marker == b"S":
            return self._take(self._size())
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _CONSTANTS:
            return _CONSTANTS[marker]
        raise _refusal("not an XGBoost model", expected="UBJSON", got=repr(marker))

    def _object(self, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while self._data[self._at : self._at + 1] != b"}":
            key = self._take(self._size())
            members[key.decode("utf-8", "replace")] = self.value(depth + 1)
        self._at += 1
        return members

    def _array(self, depth: int) -> Any:
        if self._data[self._at : self._at + 1] == b"$":
            self._at += 1
            marker = self._take(1)
            if marker not in _NUMBERS or self._take(1) != b"#":
                raise _refusal("not an XGBoost model", expected="a typed array of numbers", got=repr(marker))
            dtype, size = np.dtype(_NUMBERS[marker]), self._size()
            return np.frombuffer(self._take(size * dtype.itemsize), dtype)
        if self._data[self._at : self._at + 1] == b"#":
            self._at += 1
            size = self._size()
            if size > self.left:
                raise _refusal("not an XGBoost model", expected=f"at most {self.left} values", got=str(size))
            return [self.value(depth + 1) for _ in range(size)]
        values = []
        while self._data[self._at : self._at + 1] != b"]":
            values.append(self.value(depth + 1))
        self._at += 1
        return values

    @property
    def left(self) -> int:
        """Bytes behind what was read."""
        return len(self._data) - self._at


def _read(data: bytes) -> Any:
    """The model's document."""
    if data[:1] != b"{":
        raise _refusal("not an XGBoost model", expected="JSON or UBJSON, as Booster.save_model writes them", got=repr(data[:4]))
    if data[1:2] in (b'"', b" ", b"\n", b"\r", b"\t"):
        try:
            return msgspec.json.decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise _refusal("not an XGBoost model", expected="JSON", got=str(error)[:100]) from error
    reader = _Ubjson(data)
    document = reader.value()
    if reader.left:
        raise _refusal("bytes behind the model", expected="none", got=str(reader.left))
    return document


def check_model(data: bytes, columns: int) -> None:
    """Return if ``data`` is a model of ``columns`` columns whose every tree stays within itself.

    Raises
    ------
    Integrity: it is not, or not of trees.
    """
    try:
        learner = _read(data)["learner"]
        width = int(learner["learner_model_param"]["num_feature"])
        booster = learner["gradient_booster"]
        kind = booster["name"]
        if kind not in ("gbtree", b"gbtree", "dart", b"dart"):
            raise _refusal("not a model of trees", expected="booster gbtree or dart", got=str(kind)[:20])
        trees = booster.get("gbtree", booster)["model"]["trees"]
        groups, sizes = len(trees), [_nodes(tree, width) for tree in trees]
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as error:
        raise _refusal("not an XGBoost model", expected="the document of Booster.save_model", got=type(error).__name__) from error
    if width != columns:
        raise _refusal("the model does not fit its signature", expected=f"{columns} columns", got=f"{width} columns")
    if groups > TREES_MAX or not all(sizes):
        raise _refusal(
            "a tree leads outside itself", expected=f"at most {TREES_MAX} trees, each within its own nodes", got=f"{groups} trees"
        )


def described(data: bytes) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Names and types of the columns (empty: the model does not say), and its classes (0: it gives one score a row).

    Raises
    ------
    Integrity: not a model.
    """
    try:
        learner = _read(data)["learner"]
        names, types = ([_text(entry) for entry in learner.get(key) or ()] for key in ("feature_names", "feature_types"))
        return tuple(names), tuple(types), int(learner["learner_model_param"].get("num_class", 0))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _refusal("not an XGBoost model", expected="the document of Booster.save_model", got=type(error).__name__) from error


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _nodes(tree: dict[str, Any], width: int) -> int:
    """Nodes of a sound tree; 0 when a child or a column lies outside it, or a node has two parents."""
    count = int(tree["tree_param"]["num_nodes"])
    left, right, columns = (np.asarray(tree[name], dtype=np.int64) for name in ("left_children", "right_children", "split_indices"))
    rest = [np.asarray(tree[name]) for name in ("split_conditions", "default_left", "base_weights")]
    if count < 1 or any(each.ndim != 1 or len(each) != count for each in (left, right, columns, *rest)):
        return 0
    inner = left != -1
    children = np.concatenate([left[inner], right[inner]])
    leaves_are = bool((right[~inner] == -1).all())
    within = bool(((children > 0) & (children < count)).all()) and bool(((columns[inner] >= 0) & (columns[inner] < width)).all())
    # Each node has one parent and the root none: then following children always ends.
    return count if leaves_are and within and len(np.unique(children)) == len(children) else 0
