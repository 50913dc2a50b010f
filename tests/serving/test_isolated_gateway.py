"""A foreign model in a real gateway: refused until the operator allows it, then served by a process of its own, replaced when killed."""

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.serving.fleets import samples
from tests.serving.installation import Gateway, Installation, gateway, infer_body, table

from leverframe.core.errors import Integrity, InvalidInput
from leverframe.core.model import GOLDEN, ISOLATED, PYFUNC, SIGNATURE, Golden, IsolatedColumn, IsolatedRuntime
from leverframe.core.route import Arm, Endpoint
from leverframe.core.schema import InputColumn, OutputField, RequestField, Signature
from leverframe.governance.bundles import check_file_name
from leverframe.serving.engine.models import load_version
from leverframe.serving.runtimes.isolated.environment import check_requirements

WORDS = Signature(
    request=(RequestField(name="word", datatype="BYTES", example="ab"), RequestField(name="times", datatype="INT64", example=2)),
    columns=(
        InputColumn(name="word", source="request", field="word", categories=("ab", "xyz")),
        InputColumn(name="times", source="request", field="times"),
    ),
    outputs=(OutputField(name="lengths", width=2),),
)
SOURCE = b"""
import numpy as np
open("loaded", "w").write("by the child")
class Model:
    def predict(self, table):
        lengths = np.array([len(word or "") for word in table["word"]])
        assert table["times"].dtype == np.int64
        return np.stack([lengths, lengths * table["times"]], axis=1)
def _load_pyfunc(path):
    return Model()
"""
RUNTIME = IsolatedRuntime(
    columns=(IsolatedColumn(name="word", kind="text", categories=("ab", "xyz")), IsolatedColumn(name="times", kind="int64")),
    loader="module",
    module="team_words",
    frame="columns",
)
FILES = {
    SIGNATURE: msgspec.json.encode(WORDS),
    ISOLATED: msgspec.json.encode(RUNTIME),
    GOLDEN: msgspec.json.encode(
        Golden(columns=("word", "times"), rows=((0.0, 3.0), (1.0, 2.0)), expected=((2.0, 6.0), (3.0, 6.0)), tolerance=0.0)
    ),
    PYFUNC + "team_words.py": SOURCE,
    PYFUNC + "weights/model.pkl": b"cposix\nsystem\n(S'touch /tmp/canary'\ntR.",
}
QUESTION = {
    "inputs": [
        {"name": "word", "shape": [2], "datatype": "BYTES", "data": ["xyz", "ab"]},
        {"name": "times", "shape": [2], "datatype": "INT64", "data": [2, 5]},
    ]
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An endpoint with a foreign model, and a neighbour with one of our own."""
    installation = Installation(tmp_path)
    (tmp_path / "log").mkdir()
    foreign = Endpoint(name="words", arms=(installation.bundle(FILES),))
    plain = Endpoint(name="plain", arms=(installation.arm("m@v1", 1),))
    installation.publish(table(foreign, plain))
    return tmp_path


def lengths(running: Gateway) -> Any:
    status, answer = running.call("/v2/models/words/infer", QUESTION)
    return answer["outputs"][0]["data"] if status == 200 else status


def children(home: Path) -> list[int]:
    """Processes whose command line names this installation's child folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if b"child.py" in command and str(home).encode() in command:
                found.append(int(process.name))
    return found


def test_refused_until_the_operator_allows_it(home: Path) -> None:
    with gateway(home) as running:
        running.wait(lambda page: "--allow-isolated" in page["table"]["problem"])
        assert running.call("/v2/models/plain/infer", infer_body([0.1, 0.2, 0.3, 0.4]))[0] == 200
        assert lengths(running) == 404
        assert children(home) == []


def test_served_from_its_own_process_and_replaced_when_killed(home: Path) -> None:
    with gateway(home, "--allow-isolated") as running:
        running.wait(lambda page: len(page["endpoints"]) == 2, 20)
        assert lengths(running) == [3.0, 6.0, 2.0, 10.0]
        words = next(endpoint for endpoint in running.page()["endpoints"] if endpoint["name"] == "words")
        assert words["arms"][0]["process"] == "ready"
        (child,) = children(home)
        os.kill(child, signal.SIGKILL)
        started = time.monotonic()
        while lengths(running) != [3.0, 6.0, 2.0, 10.0]:
            assert running.call("/v2/models/plain/infer", infer_body([0.1, 0.2, 0.3, 0.4]))[0] == 200
            assert time.monotonic() - started < 20
            time.sleep(0.01)
        print(f"replaced after {time.monotonic() - started:.2f} s")
        assert running.stop() == 0
    deadline = time.monotonic() + 5
    while children(home) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert children(home) == []


def of_words(running: Gateway, name: str) -> float:
    """A metric of the foreign model."""
    return samples(running)[f'lever_{name}{{endpoint="words",version="m@v9"}}']


def test_a_quarantined_model_is_counted_and_comes_back_by_the_operators_word(home: Path) -> None:
    installation = Installation(home)
    foreign, plain = installation.bundle(FILES), Endpoint(name="plain", arms=(installation.arm("m@v1", 1),))

    def published(generation: int, killed: bool) -> None:
        installation.publish(table(Endpoint(name="words", arms=(foreign,), killed=killed), plain, generation=generation))

    def process(page: Any) -> str:
        return str(next(endpoint for endpoint in page["endpoints"] if endpoint["name"] == "words")["arms"][0]["process"])

    published(2, killed=False)
    with gateway(home, "--allow-isolated") as running:
        running.wait(lambda page: len(page["endpoints"]) == 2, 20)
        assert (of_words(running, "isolated_starts_total"), of_words(running, "isolated_deaths_total")) == (1, 0)
        until = time.monotonic() + 60
        while not process(running.page()).startswith("quarantined"):
            assert time.monotonic() < until, running.page()
            for child in children(home):
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            time.sleep(0.02)
        deaths = of_words(running, "isolated_deaths_total")
        assert deaths >= 1
        assert of_words(running, "isolated_quarantined") == 1
        published(3, killed=False)  # another table is no word of an operator
        running.wait(lambda page: page["generation"] == 3)
        assert process(running.page()).startswith("quarantined")
        published(4, killed=True)
        running.wait(lambda page: page["generation"] == 4)
        published(5, killed=False)
        running.wait(lambda page: process(page).startswith("ready"), 20)
        assert lengths(running) == [3.0, 6.0, 2.0, 10.0]
        assert (of_words(running, "isolated_deaths_total"), of_words(running, "isolated_quarantined")) == (deaths, 0)


def test_code_in_a_bundle_that_does_not_say_so_is_refused() -> None:
    arm = Arm(version="m@v1", bundle="sha256:" + "0" * 64, envelope="sha256:" + "0" * 64, role="live", weight=100.0)
    files: Mapping[str, bytes] = {name: content for name, content in FILES.items() if name != ISOLATED}
    with pytest.raises(Integrity, match="data only"):
        load_version("words", arm, files)
    with pytest.raises(Integrity, match="data only"):
        load_version("words", arm, {**FILES, "model.pkl": b""})


@pytest.mark.parametrize(
    "name", ["pyfunc/../key", "pyfunc//a", "pyfunc/.hidden", "/pyfunc/a", "pyfunc/a/", "other/a", "pyfunc/" + "a/" * 9 + "b"]
)
def test_no_file_name_leads_out_of_the_model(name: str) -> None:
    with pytest.raises(InvalidInput):
        check_file_name(name)


HASH = " --hash=sha256:" + "a" * 64


@pytest.mark.parametrize(
    "line",
    [
        "numpy",
        "numpy==1",
        "numpy>=1" + HASH,
        "--index-url=http://x" + HASH,
        "numpy @ http://x" + HASH,
        "-e ." + HASH,
        "a==1\n-e ." + HASH,
        "a==1; b" + HASH,
    ],
)
def test_only_pinned_and_hashed_requirements_are_taken(line: str) -> None:
    with pytest.raises(InvalidInput):
        check_requirements(["numpy==2.0" + HASH, line])
