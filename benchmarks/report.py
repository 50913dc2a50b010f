"""The one form in which every benchmark reports: a table on the terminal and ``benchmarks/results/<name>.json``."""

import os
import platform
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import msgspec

RESULTS = Path(__file__).parent / "results"
VALUE_CHARS_MAX = 60
"""A longer text is cut in the table; the document has it whole."""


@dataclass(frozen=True)
class Figure:
    """One measured number. ``peer`` names the tool it is compared with or belongs to; ``met`` is None without a bar."""

    figure: str
    value: float | str
    unit: str
    peer: str = ""
    bar: float | None = None
    met: bool | None = None


@dataclass
class Report:
    """The figures of one benchmark. ``packages`` are looked up in our environment; add a peer's versions by hand."""

    name: str
    packages: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def add(
        self,
        figure: str,
        value: float | str,
        unit: str,
        *,
        peer: str = "",
        bar: float | None = None,
        better: Literal["higher", "lower"] = "lower",
    ) -> None:
        """Add a figure; with ``bar``, say whether it is met (at most the bar, or at least where higher is better)."""
        met = None
        if bar is not None and not isinstance(value, str):
            met = value >= bar if better == "higher" else value <= bar
        self.figures.append(Figure(figure=figure, value=value, unit=unit, peer=peer, bar=bar, met=met))

    def write(self) -> Path:
        """Print the table and write the JSON document; returns its path."""
        self.show()
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}.json"
        document = {
            "machine": machine(),
            "versions": {"python": platform.python_version(), **_versions(self.packages), **self.versions},
            "figures": [asdict(figure) for figure in self.figures],
        }
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
        return path

    def show(self) -> None:
        """Print the table alone: for a run of a part, which must not replace the results of a whole one."""
        print(self.table(), flush=True)

    def table(self) -> str:
        """The figures as aligned text."""
        head = ("figure", "value", "unit", "peer", "bar", "met")
        rows = [
            (
                f.figure,
                _text(f.value)[:VALUE_CHARS_MAX],
                f.unit,
                f.peer,
                "" if f.bar is None else _text(f.bar),
                {None: "", True: "yes", False: "NO"}[f.met],
            )
            for f in self.figures
        ]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def machine() -> dict[str, str | int | float]:
    """What the figures were measured on."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "memory_gib": round(memory_gib, 1),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor())


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def _text(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
