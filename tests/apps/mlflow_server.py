"""A small registry of the very shape that an MLflow 3 server answers in: registered models, versions, aliases, proxied artifacts.

The slow walk against a real server holds that the shape is the same.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

CREATED_MS = 1_795_620_460_561


class Registry(ThreadingHTTPServer):
    """``versions``: number to the folder of its artifacts; ``aliases``: alias to number; ``uri``: where artifacts are said to lie."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.versions: dict[int, Path] = {}
        self.aliases: dict[str, int] = {}
        self.uri = "mlflow-artifacts:/0/models/m-{number}/artifacts"
        self.down = False
        self.token = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def version(self, number: int) -> dict[str, object]:
        return {
            "name": "delays",
            "version": str(number),
            "creation_timestamp": CREATED_MS + number,
            "last_updated_timestamp": CREATED_MS + number,
            "current_stage": "None",
            "description": "",
            "source": f"models:/m-{number}",
            "run_id": "1800e4b120d243509f80a879ec44db4d",
            "status": "READY",
            "run_link": "",
        }


class _Handler(BaseHTTPRequestHandler):
    server: Registry

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if self._refused():
            return
        if parts.path == "/api/2.0/mlflow/registered-models/get":
            self._model(asked["name"])
        elif parts.path == "/api/2.0/mlflow/model-versions/search":
            newest = [self.server.version(number) for number in sorted(self.server.versions, reverse=True)]
            self._say(200, {"model_versions": newest} if newest else {})
        elif parts.path == "/api/2.0/mlflow/model-versions/get":
            self._say(200, {"model_version": self.server.version(int(asked["version"]))})
        elif parts.path == "/api/2.0/mlflow/model-versions/get-download-uri":
            self._say(200, {"artifact_uri": self.server.uri.format(number=asked["version"])})
        elif parts.path.startswith("/api/2.0/mlflow-artifacts/artifacts"):
            self._artifacts(unquote(parts.path.removeprefix("/api/2.0/mlflow-artifacts/artifacts")).strip("/") or asked["path"], asked)
        else:
            self._say(404, {"error_code": "ENDPOINT_NOT_FOUND"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._refused():
            self.server.aliases[body["alias"]] = int(body["version"])
            self._say(200, {})

    def do_DELETE(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._refused():
            self.server.aliases.pop(body["alias"], None)
            self._say(200, {})

    def _refused(self) -> bool:
        if self.server.down:
            self._say(503, {})
        elif self.server.token and self.headers.get("Authorization") != self.server.token:
            self._say(401, {})
        return self.server.down or bool(self.server.token and self.headers.get("Authorization") != self.server.token)

    def _model(self, name: str) -> None:
        if name != "delays":
            self._say(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": f"Registered Model with name={name} not found"})
            return
        newest = [self.server.version(max(self.server.versions))] if self.server.versions else []
        model: dict[str, object] = {"name": name, "creation_timestamp": CREATED_MS, "latest_versions": newest}
        if self.server.aliases:
            model["aliases"] = [{"alias": alias, "version": str(number)} for alias, number in self.server.aliases.items()]
        self._say(200, {"registered_model": model})

    def _artifacts(self, path: str, asked: dict[str, str]) -> None:
        _, _, version, _, *rest = path.split("/")
        place = self.server.versions[int(version.removeprefix("m-"))].joinpath(*rest)
        if "path" in asked:
            files = [
                {"path": p.name, "is_dir": p.is_dir(), "file_size": 0 if p.is_dir() else p.stat().st_size} for p in sorted(place.iterdir())
            ]
            self._say(200, {"files": files})
        else:
            self._say(200, place.read_bytes())

    def _say(self, status: int, body: object) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@contextmanager
def registry() -> Iterator[Registry]:
    """A registry on loopback."""
    server = Registry()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
