"""The masks score as LightGBM does, bit for bit, and no text makes them crash."""

import subprocess
import sys
from functools import cache
from pathlib import Path

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.core.errors import Integrity
from leverframe.serving.runtimes import trees
from leverframe.serving.runtimes.lightgbm import LightgbmRuntime
from leverframe.serving.runtimes.trees import TreesRuntime
from leverframe.serving.runtimes.trees_table import build_tables
from leverframe.serving.runtimes.trees_text import Declined, read_forest

COLUMNS = 5
SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 5e-324, -5e-324, 1e-35, -1e-35, 1.0000000180025095e-35, 1.1e-35, -1.1e-35, 1e300, -1e300)
CATEGORIES = (-1.0, -0.5, 0.5, 3.0, 3.999, 31.0, 32.0, 64.0, 1e10, -1e10)
ROOT = Path(__file__).resolve().parents[2]


@cache
def trained(seed, leaves=31, objective="binary", missing="nan", category=False, rounds=20, **more):
    """A model's text and its rows: rounded, so that many values are equal to thresholds; column 4 is a category if asked."""
    rng = np.random.default_rng(seed)
    rows = np.round(rng.normal(size=(1_500, COLUMNS)) * 2, 1)
    rows[:, 4] = rng.integers(0, 40, len(rows))
    signal = rows[:, 0] - rows[:, 1] * (rows[:, 2] > 0) + (rows[:, 4] % 3) + rng.normal(size=len(rows))
    label = (signal > np.median(signal)).astype(float) if objective == "binary" else signal
    if missing != "never":
        rows[:, :3][rng.random((len(rows), 3)) < 0.2] = np.nan
    params = {
        "objective": objective, "num_leaves": leaves, "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1, "seed": seed,
        "deterministic": True, "zero_as_missing": missing == "zero", "cat_smooth": 1.0, "min_data_per_group": 5, **more,
    }  # fmt: skip
    data = lightgbm.Dataset(rows, label, categorical_feature=[4] if category else [], free_raw_data=False)
    return lightgbm.train(params, data, rounds).model_to_string().encode(), rows


def hostile(text, rows, seed):
    """Rows of every kind of value: the special ones, and each threshold of the model with its two neighbours."""
    rng = np.random.default_rng(seed)
    ties = read_forest(text, rows.shape[1]).threshold
    pool = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf), np.repeat(SPECIAL, 5), np.repeat(CATEGORIES, 5)])
    mixed = rng.choice(pool, size=(700, rows.shape[1]))
    return np.vstack([rows[:300], mixed, np.repeat(np.array(SPECIAL)[:, None], rows.shape[1], axis=1)])


def same_bits(text, rows):
    kernel, native = TreesRuntime(text, rows.shape[1]), LightgbmRuntime(text, rows.shape[1])
    expected = native.score(rows).tobytes()
    singly = np.array([kernel.score_row(row.tobytes()) for row in rows])
    apart = kernel.score_columns([column.copy() for column in rows.T])
    return all(scores.tobytes() == expected for scores in (kernel.score(rows), singly, apart))


def test_the_library_is_built_and_used_here():
    assert Path(trees.__file__).with_name(trees.LIBRARY).exists(), "reinstall: python -m pip install --no-deps --no-build-isolation -e ."
    text, _ = trained(0)
    assert TreesRuntime(text, COLUMNS).name == "trees"


@settings(max_examples=100, deadline=None)
@given(
    st.integers(0, 3),
    st.sampled_from([2, 3, 31, 32, 33, 63, 64]),
    st.sampled_from(["binary", "regression", "regression_l1", "huber", "quantile"]),
    st.sampled_from(["nan", "zero", "never"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.3, 1.0, 2.5]),
)
def test_every_bit_is_as_lightgbm_gives_it(seed, leaves, objective, missing, category, average, sigmoid):
    text, rows = trained(seed, leaves, objective, missing, category, boost_from_average=average, sigmoid=sigmoid)
    assert same_bits(text, hostile(text, rows, seed))


@pytest.mark.parametrize("rounds", [1, 7, 8, 9, 15, 16, 17, 200])
def test_any_number_of_trees_fills_its_blocks(rounds):
    for leaves in (31, 64):
        text, rows = trained(5, leaves, rounds=rounds)
        assert same_bits(text, hostile(text, rows, rounds))


def test_single_leaves_and_any_number_of_rows():
    text, rows = trained(1, rounds=3, min_data_in_leaf=1_000_000)
    assert b"num_leaves=1\n" in text
    assert same_bits(text, rows[:40])
    text, rows = trained(2)
    kernel, native = TreesRuntime(text, COLUMNS), LightgbmRuntime(text, COLUMNS)
    for count in (0, 1, 2, 3, 4, 5, 127, 128, 129, 131, 500):
        assert kernel.score(rows[:count]).tobytes() == (native.score(rows[:count]).tobytes() if count else b"")
    assert kernel.score(rows[:64, ::-1][:, ::-1]).tobytes() == native.score(rows[:64]).tobytes()


def test_a_hand_turned_default_goes_both_ways():
    """Texts whose decisions declare every mixture of direction and missing type, which training alone seldom makes."""
    text, rows = trained(3)
    rng = np.random.default_rng(9)
    for _ in range(10):
        lines = text.split(b"\n")
        for at, line in enumerate(lines):
            if line.startswith(b"decision_type="):
                lines[at] = b"decision_type=" + b" ".join(rng.choice([b"0", b"2", b"4", b"6", b"8", b"10"], size=line.count(b" ") + 1))
            elif line.startswith(b"tree_sizes="):
                lines[at] = b""
        turned = b"\n".join(lines)
        assert same_bits(turned, hostile(turned, rows, 3))


def test_a_changed_leaf_is_seen():
    """Negative control: the comparison is able to fail, by one bit of one leaf of one tree."""
    text, rows = trained(4)
    kernel, native = TreesRuntime(text, COLUMNS), LightgbmRuntime(text, COLUMNS)
    leaf = kernel._tables.leaf[7]
    assert kernel.score(rows).tobytes() == native.score(rows).tobytes()
    leaf[:] = np.nextafter(leaf, np.inf)
    assert kernel.score(rows).tobytes() != native.score(rows).tobytes()


def test_a_wrong_width_is_refused_before_the_library_sees_it():
    text, rows = trained(0)
    kernel = TreesRuntime(text, COLUMNS)
    for wrong in (b"", b"\0" * 8, rows[0].tobytes() + b"\0"):
        with pytest.raises(ValueError):
            kernel.score_row(wrong)
    for shape in (rows[:, :4], rows[0], rows[None]):
        with pytest.raises(ValueError):
            kernel.score(shape)
    for columns in ([], list(rows.T[:4]), [*rows.T[:4], rows[:7, 4]], [rows] * 5):
        with pytest.raises(ValueError):
            kernel.score_columns(columns)
    with pytest.raises(Integrity):
        TreesRuntime(text, COLUMNS + 1)


@pytest.mark.parametrize(
    "more",
    [
        {"leaves": 65},
        {"objective": "poisson"},
        {"objective": "cross_entropy"},
        {"objective": "regression", "reg_sqrt": True},
        {"objective": "regression", "linear_tree": True},
        {"boosting": "rf", "bagging_freq": 1, "bagging_fraction": 0.5},
    ],
)
def test_what_is_not_covered_is_declined(more):
    objective = more.get("objective", "binary")
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(2_000, COLUMNS))
    label = (rows.sum(axis=1) > 0).astype(float) if objective in ("binary", "cross_entropy") else np.abs(rows[:, 0] + rows[:, 1] ** 2)
    params = {"num_leaves": more.get("leaves", 31), "min_data_in_leaf": 3, "verbose": -1, "num_threads": 1, "objective": objective, **more}
    params.pop("leaves", None)
    text = lightgbm.train(params, lightgbm.Dataset(rows, label), 3).model_to_string().encode()
    LightgbmRuntime(text, COLUMNS)
    with pytest.raises(Declined):
        TreesRuntime(text, COLUMNS)


def test_a_model_without_a_known_objective_or_with_large_tables_is_declined(monkeypatch):
    text, _ = trained(0)
    with pytest.raises(Declined):
        TreesRuntime(text.replace(b"objective=binary sigmoid:1\n", b""), COLUMNS)
    monkeypatch.setattr("leverframe.serving.runtimes.trees_table.TABLE_BYTES_MAX", 10_000)
    with pytest.raises(Declined):
        TreesRuntime(text, COLUMNS)


def test_without_the_library_models_are_left_to_lightgbm(monkeypatch):
    monkeypatch.setattr(trees, "LIBRARY", "not-built.so")
    trees._functions.cache_clear()
    try:
        with pytest.raises(Declined, match="not built"):
            TreesRuntime(trained(0)[0], COLUMNS)
    finally:
        trees._functions.cache_clear()


FUZZ = """
import random, sys
import numpy as np
from pathlib import Path
from leverframe.core.errors import Integrity
from leverframe.serving.runtimes.trees import TreesRuntime
from leverframe.serving.runtimes.trees_text import Declined
text, seed, count = Path(sys.argv[1]).read_bytes(), int(sys.argv[2]), int(sys.argv[3])
rng, kinds = random.Random(seed), {"scored": 0, "integrity": 0, "declined": 0}
rows = np.random.default_rng(seed).normal(size=(40, 5)) * 30
rows[::3, 1], rows[::5, 2], rows[::7] = np.nan, 0.0, 1e308
words = [b"-1", b"0", b"1", b"29", b"30", b"-31", b"99999999999", b"-99999999999", b"nan", b"inf", b"1e999"]
words += [b"", b"x", b"\\xff", b"3.5", b"="]
for _ in range(count):
    damaged = bytearray(text)
    for _ in range(rng.choice((1, 1, 1, 3, 20))):
        at = rng.randrange(len(damaged))
        kind = rng.randrange(4)
        if kind == 0:
            damaged[at] = rng.randrange(256)
        elif kind == 1:
            del damaged[at : at + rng.choice((1, 5, 500))]
        else:
            start = max(damaged.rfind(b" ", 0, at), damaged.rfind(b"=", 0, at)) + 1
            ends = [end for end in (damaged.find(b" ", at), damaged.find(b"\\n", at)) if end > 0]
            damaged[start : min(ends, default=at)] = rng.choice(words)
    try:
        kernel = TreesRuntime(bytes(damaged), 5)
        kernel.score(rows)
        [kernel.score_row(row.tobytes()) for row in rows]
        kinds["scored"] += 1
    except Integrity:
        kinds["integrity"] += 1
    except Declined:
        kinds["declined"] += 1
print(kinds["scored"], kinds["integrity"], kinds["declined"])
"""


def fuzz(tmp_path, seed, count):
    text, _ = trained(6, rounds=2, category=True)
    (tmp_path / "model.txt").write_bytes(text)
    done = subprocess.run(
        [sys.executable, "-c", FUZZ, tmp_path / "model.txt", str(seed), str(count)], capture_output=True, text=True, timeout=150
    )
    assert done.returncode == 0, done.stderr[-2000:]
    scored, refused, _ = map(int, done.stdout.split())
    assert scored > count // 20, "some damage is harmless"
    assert refused > count // 5, "most is not"


def test_damaged_text_is_an_integrity_error_and_never_a_crash(tmp_path):
    fuzz(tmp_path, 1, 1_500)


@pytest.mark.slow
def test_damaged_text_never_crashes_for_long(tmp_path):
    for seed in range(2, 12):
        fuzz(tmp_path, seed, 4_000)


def test_a_bad_index_would_crash_the_library_were_it_not_checked():
    """Negative control of the fuzz: past the checks, such an index ends the process."""
    code = (
        "import ctypes, sys; from pathlib import Path; import numpy as np\n"
        "from leverframe.serving.runtimes.trees import TreesRuntime\n"
        "kernel = TreesRuntime(Path(sys.argv[1]).read_bytes(), 5)\n"
        "kernel._tables.block_line[:] = 1 << 45\n"
        "kernel.score(np.zeros((1, 5)))\n"
    )
    text, _ = trained(0)
    path = Path("/dev/stdin")
    done = subprocess.run([sys.executable, "-c", code, path], input=text, capture_output=True, timeout=60)
    assert done.returncode < 0


def test_children_that_form_no_tree_are_refused():
    text, _ = trained(6, rounds=1)
    start = text.index(b"left_child=")
    children = text[start : text.index(b"\n", start)]
    words = children.removeprefix(b"left_child=").split()
    for wrong in ([b"0", *words[1:]], [b"30", *words[1:]], [b"-32", *words[1:]], [*words[:-1], words[0]], words[:-1], [*words, b"1"]):
        with pytest.raises(Integrity):
            TreesRuntime(text.replace(children, b"left_child=" + b" ".join(wrong)), COLUMNS)


def test_tables_are_small_and_aligned():
    text, _ = trained(5, rounds=200)
    tables = build_tables(read_forest(text, COLUMNS))
    assert tables.lines.ctypes.data % 64 == 0
    assert tables.size_bytes < 1 << 20


def test_a_library_of_another_version_is_not_called(monkeypatch):
    """Its calls would read past their arguments."""
    trees._functions.cache_clear()
    monkeypatch.setattr(trees, "INTERFACE", trees.INTERFACE + 1)
    try:
        with pytest.raises(Declined, match="another version"):
            trees._functions()
    finally:
        trees._functions.cache_clear()
