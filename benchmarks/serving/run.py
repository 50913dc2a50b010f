"""The gateway under load beside every peer, in one run: distinct rows, one server on one core, the load generator on the other.

Ours has authentication, sticky routing over two arms, missing-value policy, prediction log, metrics and limits on; the bare limits nothing.

``python -m benchmarks serving [--only fastapi,kserve] [--rounds 3] [--seconds 1]``; with ``--only`` the table is printed and no results are
written.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers import PeerUnavailable, peer_pythons
from benchmarks.report import Report
from benchmarks.serving.figures import Effort, Seen, beside, ceiling, own_figures, start_and_memory
from benchmarks.serving.fleet import two_workers
from benchmarks.serving.products import OURS, OURSELVES, SERVERS, Server
from benchmarks.serving.servers import free_port, pin_load, running, unpin
from benchmarks.serving.setup import Scene, set_up

MORE = {"fleet": two_workers}
"""Figures that are measured on all cores: ``function(scene, effort, report)``."""


def _options(arguments: Sequence[str]) -> tuple[list[Server], Effort, list[str], bool]:
    """Servers, effort, modules that add figures, and whether that is all there is."""
    names = [server.name for server in SERVERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks serving")
    parser.add_argument("--only", default="", help=f"comma-separated, of: {OURS}, {', '.join([*names, *MORE])}; part of a name will do")
    parser.add_argument("--rounds", type=int, default=Effort.rounds, help="measurements of each figure; medians are reported")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of each measurement")
    given = parser.parse_args(arguments)
    only = [part for part in given.only.split(",") if part]
    unknown = [part for part in only if not any(part in name for name in (OURS, *names, *MORE))]
    if unknown:
        parser.error(f"nobody is called {', '.join(unknown)}; there are: {OURS}, {', '.join([*names, *MORE])}")
    chosen = [server for server in SERVERS if not only or any(part in server.name for part in only)]
    more = [name for name in MORE if not only or name in only]
    return chosen, Effort(given.rounds, given.seconds), more, not only


def main(arguments: Sequence[str] = ()) -> None:
    """Measure and report."""
    servers, effort, more, whole = _options(arguments)
    report = Report("serving", packages=("uvloop", "httptools", "msgspec", "lightgbm", "onnxruntime"))
    pythons = peer_pythons({server.environment: server.requirements for server in servers if server.environment})
    for server in servers:
        report.versions.update(requirement.split("==") for requirement in server.requirements[:1])
    pin_load()
    with tempfile.TemporaryDirectory(prefix="lever-bench-", ignore_cleanup_errors=True) as folder:
        scene = set_up(Path(folder))
        try:
            ceiling(scene, effort, report)
            start_and_memory(scene, effort, report)
            _measure_all(scene, servers, pythons, effort, report)
            unpin()
            for name in more:
                MORE[name](scene, effort, report)
        except BaseException:
            report.show()  # what was measured before it went wrong
            raise
    if whole:
        report.write()
    else:
        report.show()


def _measure_all(
    scene: Scene, servers: Sequence[Server], pythons: dict[str, Path | PeerUnavailable], effort: Effort, report: Report
) -> None:
    seen, port = Seen(), free_port()
    ask = OURSELVES.protocol.requests(scene.rows[1][:1])[0]
    command, log = OURSELVES.command(None, scene.home, port), scene.home / "leverframe.log"
    with running(command, port, log, ask=ask, protocol=OURSELVES.protocol, expected=scene.expected[1]) as ours:
        for server in servers:
            print(f"beside {server.name}", flush=True)
            python = pythons.get(server.environment)
            try:
                if isinstance(python, PeerUnavailable):
                    raise python
                beside(ours, server, python, scene, effort, seen, report)
            except PeerUnavailable as error:
                report.add("not measured", str(error), "", peer=server.name)
        own_figures(ours, scene, effort, seen, report)


if __name__ == "__main__":
    main()
