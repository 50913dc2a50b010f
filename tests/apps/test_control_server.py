"""The control plane on a real socket: granian serves it, the client talks to it."""

import threading

from tests.apps.browser import served
from tests.apps.fake_platform import FakePlatform

from leverframe.apps.client import Client


def test_many_clients_at_once_over_a_real_socket():
    platform, seen = FakePlatform(), []
    with served(platform) as address:

        def ask():
            with Client(address, "admin-token") as client:
                seen.append(client.status() == platform.status())
                seen.append(client.data.ingest("weather", b"PAR1" * 300_000).accepted)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [True] * 16
