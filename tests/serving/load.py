"""Load on a gateway from threads of this process: one keep-alive connection each, every answer remembered."""

import http.client
import json
import threading
import time
from dataclasses import dataclass, field

from tests.serving.installation import TOKEN, infer_body


@dataclass
class Load:
    """Asks one-row questions with distinct ids until stopped."""

    port: int
    path: str = "/v2/models/m/infer"
    threads: int = 2
    prefix: str = "q"
    answered: list[str] = field(default_factory=list)
    versions: list[tuple[float, str]] = field(default_factory=list)
    latency_s: list[tuple[float, float]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __enter__(self) -> "Load":
        self._stop = threading.Event()
        self._workers = [threading.Thread(target=self._work, args=(n,)) for n in range(self.threads)]
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for worker in self._workers:
            worker.join()

    def _work(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        count = 0
        while not self._stop.is_set():
            count += 1
            request_id = f"{self.prefix}{number}-{count}"
            body = json.dumps(infer_body([count % 97 / 13, number, 1.0, 2.0], request_id))
            started = time.monotonic()
            try:
                connection.request("POST", self.path, body, {"Authorization": f"Bearer {TOKEN}"})
                answer = connection.getresponse()
                said = json.loads(answer.read())
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.failures.append(f"{type(error).__name__}: {error}")
                connection.close()
                time.sleep(0.01)
                continue
            done = time.monotonic()
            if answer.status == 200:
                self.answered.append(request_id)
                self.versions.append((done, said["model_version"]))
                self.latency_s.append((started, done - started))
            else:
                self.failures.append(f"{answer.status}: {said}")
        connection.close()


def p99(latencies: list[float]) -> float:
    """The 99th percentile."""
    return sorted(latencies)[int(len(latencies) * 0.99)]
