"""Clients of one process: so many commands of each, every one with its own key, under the shipped policies. Prints how long it took."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from leverframe.apps.clocks import SystemClock
from leverframe.core.actor import Actor
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.policy import Policy
from leverframe.release.commands import HANDLERS
from leverframe.release.levers.bounds import SetTenantQuota

ADMIN = Actor(subject="root", roles=("admin",), teams=("*",))


def write(url: str, client: str, threads: int, commands: int, start: Path) -> tuple[float, float]:
    """Moments (s, monotonic of this machine) at which the clients of this process began and were done; each is a thread."""
    ledger = Ledger(url, SystemClock(), Policy(), HANDLERS)

    def send(thread: int) -> None:
        for n in range(commands):
            command = SetTenantQuota(environment="prod", tenant=f"{client}-{thread}-{n % 20}", per_second=float(n + 1), reason="benchmark")
            ledger.write(ADMIN, command, key=f"{client}/{thread}/{n}")

    Path(f"{start}.{client}").touch()
    while not start.exists():
        time.sleep(0.002)
    began = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(send, thread) for thread in range(threads)]:
            done.result()
    ended = time.monotonic()
    ledger.close()
    return began, ended


if __name__ == "__main__":
    print(json.dumps(write(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]))))
