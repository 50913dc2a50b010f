"""Contract checks against pandera (Polars backend) and Great Expectations (pandas), in the same run, verdicts compared first.

1,000,000 rows x 50 columns, 120 rules, once with rows that keep all of them and once with one value in a thousand bad in eleven columns.
Each side runs in its own process on rows it already holds in memory; ours also checks the Parquet file as a scan.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers import PeerUnavailable, peer_python
from benchmarks.report import Report

PANDERA = ("pandera[polars]==0.35.0", "polars==2.1.0")
GREAT_EXPECTATIONS = ("great-expectations==1.24.1", "pyarrow")
HERE = Path(__file__).parent
SECONDS_MAX = 400
RATIO_MIN = 2.0
TABLES = ("clean", "faulty")


def main() -> None:
    """Run every side and report."""
    report = Report(name="contracts", packages=("leverframe", "polars"))
    with tempfile.TemporaryDirectory(prefix="bench-contracts-") as name:
        folder = Path(name)
        for part in ("inputs", "ours"):
            subprocess.run(
                [sys.executable, "-m", f"benchmarks.contracts.{part}", name], check=True, timeout=SECONDS_MAX, cwd=HERE.parents[1]
            )
        ours = json.loads((folder / "ours.json").read_text())
        report.add("rows x columns, rules", "1,000,000 x 50, 120", "")
        for table in TABLES:
            report.add(f"check in memory, {table} rows, median of 5", ours[f"{table}_s"], "s")
            report.add(f"processor time of it, {table} rows", ours[f"{table}_cpu_s"], "s")
            report.add(f"check of the Parquet file as a scan, {table} rows, median of 5", ours[f"{table}_scan_s"], "s")
        peers = {
            "pandera": (PANDERA, ["pandera_peer.py", name], "pandera.json"),
            "Great Expectations": (GREAT_EXPECTATIONS, ["great_expectations_peer.py", name], "great_expectations.json"),
        }
        for peer, (requirements, command, answer) in peers.items():
            try:
                _compare(report, peer, ours, _peer(folder, peer, requirements, command, answer))
            except (PeerUnavailable, subprocess.SubprocessError) as error:
                report.add(f"{peer} did not run", str(error)[-300:], "reason", peer=peer)
        try:
            _imported(report, folder)
        except (PeerUnavailable, subprocess.SubprocessError) as error:
            report.add("imported suites were not compared", str(error)[-300:], "reason")
    report.write()


def _imported(report: Report, folder: Path) -> None:
    """The tools' own suites, imported: each tool's verdict on every table beside ours."""
    python = peer_python("pandera", PANDERA)
    command = [sys.executable, "-m", "benchmarks.contracts.imported", str(folder), str(python)]
    subprocess.run(command, check=True, timeout=SECONDS_MAX, cwd=HERE.parents[1])
    ours = json.loads((folder / "imported.json").read_text())
    sides = {"pandera": ("pandera", PANDERA), "Great Expectations": ("great_expectations", GREAT_EXPECTATIONS)}
    for peer, (stem, requirements) in sides.items():
        theirs = _peer(folder, peer, requirements, [f"imported_{stem}_peer.py", str(folder)], f"{stem}_verdicts.json")
        mine = ours[stem]
        verdicts = [name for name, said in theirs.items() if any(said[fact] != mine[name][fact] for fact in ("accepted", "silent"))]
        # Of repeated values tools count every one, or all but the first; and pandera names no rows where it only warns.
        counted = [name for name, said in theirs.items() if "repeated" not in name and (stem != "pandera" or not said["accepted"])]
        rows = [name for name in counted if theirs[name]["failing_rows"] != mine[name]["failing_rows"]]
        report.add(f"imported suite: tables of {len(theirs)} with another verdict", len(verdicts), "tables", peer=peer, bar=0)
        report.add(f"imported suite: tables of {len(counted)} with other failing rows", len(rows), "tables", peer=peer, bar=0)


def _peer(folder: Path, peer: str, requirements: tuple[str, ...], command: list[str], answer: str) -> dict[str, Any]:
    python = peer_python(peer.lower().replace(" ", "-"), requirements)
    done = subprocess.run(
        [str(python), str(HERE / command[0]), *command[1:]], capture_output=True, text=True, timeout=SECONDS_MAX, cwd=folder
    )
    if done.returncode:
        raise PeerUnavailable(f"{peer}: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
    found: dict[str, Any] = json.loads((folder / answer).read_text())
    return found


def _compare(report: Report, peer: str, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    report.versions[peer.lower().replace(" ", "-")] = theirs["version"]
    for table in TABLES:
        found, expected = theirs[f"{table}_failing"], {k: v for k, v in ours[f"{table}_failing"].items() if v}
        differ = sorted(k for k in {*found, *expected} if found.get(k, 0) != expected.get(k, 0))
        report.add(f"rules whose failing rows differ, {table} rows", len(differ), "rules", peer=peer, bar=0)
        report.add(f"check in memory, {table} rows", theirs[f"{table}_s"], "s", peer=peer)
        report.add(f"processor time of it, {table} rows: peer / ours", theirs[f"{table}_cpu_s"] / ours[f"{table}_cpu_s"], "x", peer=peer)
        ratio = theirs[f"{table}_s"] / ours[f"{table}_s"]
        report.add(f"check in memory, {table} rows: peer / ours", ratio, "x", peer=peer, bar=RATIO_MIN, better="higher")


if __name__ == "__main__":
    main()
