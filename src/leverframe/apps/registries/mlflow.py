"""An MLflow server as its REST API has it: registered models, versions, aliases, and artifacts through its own proxy.

Source: MLflow documentation, "REST API" (2.0), read with an MLflow 3 server. Nothing of MLflow is imported; everything goes through the
one egress client. Artifacts that lie elsewhere (``s3://``, ``file:``) are refused by name: only what the server itself hands out is read.
"""

import base64
import re
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from leverframe.apps.egress.client import Egress
from leverframe.core.errors import Forbidden, Integrity, InvalidInput, LimitExceeded, NotFound, Unavailable
from leverframe.training.importers.mlflow import BYTES_MAX, FILES_MAX

T = TypeVar("T")

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
VERSIONS_MAX = 50
"""Newest versions that one look considers."""
DEPTH_MAX = 8
_SEGMENT = re.compile(r"[A-Za-z0-9_.+@ -]{1,200}")


class SourceVersion(msgspec.Struct, frozen=True):
    """A version as the registry has it; ``creation_timestamp`` in ms."""

    version: str
    status: str = "READY"
    creation_timestamp: int = 0

    @property
    def number(self) -> int:
        """Its number."""
        return int(self.version)


class _Alias(msgspec.Struct, frozen=True):
    alias: str
    version: str


class SourceModel(msgspec.Struct, frozen=True):
    """A registered model with its aliases."""

    name: str
    aliases: tuple[_Alias, ...] = ()

    def alias(self, name: str) -> int:
        """The number of the version that alias ``name`` points to; 0: none."""
        return next((int(each.version) for each in self.aliases if each.alias == name), 0)


class _File(msgspec.Struct, frozen=True):
    path: str
    is_dir: bool = False
    file_size: int = 0


class MlflowServer:
    """One server at ``url``.

    Parameters
    ----------
    token: a bearer token, or ``user:password``; empty: none is sent.
    """

    def __init__(self, egress: Egress, url: str, token: str = "") -> None:
        self._egress = egress
        self._url = url.rstrip("/")
        self._headers = {"Accept": "application/json"}
        if token:
            basic = f"Basic {base64.b64encode(token.encode()).decode()}"
            self._headers["Authorization"] = basic if ":" in token else f"Bearer {token}"

    def model(self, name: str) -> SourceModel:
        """The registered model called ``name``.

        Raises
        ------
        NotFound: it has none.    Unavailable: no answer.    Forbidden: the operator lists no such host, or other credentials are wanted.
        """
        return self._get("/registered-models/get", {"name": name}, "registered_model", SourceModel)

    def newest(self, name: str) -> tuple[SourceVersion, ...]:
        """Its newest versions that are ready, oldest first."""
        asked = {"filter": f"name='{name}'", "order_by": "version_number DESC", "max_results": str(VERSIONS_MAX)}
        found = self._get("/model-versions/search", asked, "model_versions", tuple[SourceVersion, ...], ())
        return tuple(sorted((each for each in found if each.status == "READY"), key=lambda each: each.number))

    def version(self, name: str, number: int) -> SourceVersion:
        """One version."""
        return self._get("/model-versions/get", {"name": name, "version": str(number)}, "model_version", SourceVersion)

    def download(self, name: str, number: int, folder: Path) -> None:
        """The artifacts of a version, into the empty ``folder``.

        Raises
        ------
        Forbidden: they lie where the server does not hand them out.    Integrity: a name or a size that no honest server tells.
        LimitExceeded: too many files or bytes.
        """
        asked = {"name": name, "version": str(number)}
        uri = self._get("/model-versions/get-download-uri", asked, "artifact_uri", str)
        scheme, _, path = uri.partition(":")
        if scheme != "mlflow-artifacts" or path.startswith("//"):
            raise Forbidden(
                "its artifacts are not handed out by the server itself",
                where=f"{name} version {number}",
                expected="mlflow-artifacts:/…",
                got=f"{scheme}://…",
                next_step="start the server with --artifacts-destination, or: lever models import FOLDER",
            )
        self._fetch(path.strip("/"), folder, [0, 0], DEPTH_MAX)

    def set_alias(self, name: str, alias: str, number: int) -> None:
        """Point ``alias`` at a version; 0: take it away."""
        path = f"{API}/registered-models/alias"
        if number:
            self._sent("POST", path, {"name": name, "alias": alias, "version": str(number)})
        else:
            self._sent("DELETE", path, {"name": name, "alias": alias})

    # The wire --------------------------------------------------------------------------------------------------------

    def _fetch(self, path: str, folder: Path, taken: list[int], depth: int) -> None:
        """Every file below ``path``; ``taken`` counts files and bytes."""
        listing = self._sent("GET", f"{ARTIFACTS}?{urlencode({'path': path})}")
        for found in msgspec.convert(listing.get("files", []), tuple[_File, ...]):
            name = found.path.rsplit("/", 1)[-1]
            if not _SEGMENT.fullmatch(name) or set(name) <= {".", " "}:
                raise Integrity("the server tells of a file that cannot be one", where=path[:120], got=repr(name[:80]))
            taken[0] += 1
            if taken[0] > FILES_MAX or depth <= 0:
                raise LimitExceeded("too many files for a model", where=path[:120], expected=f"at most {FILES_MAX}, {DEPTH_MAX} deep")
            if found.is_dir:
                (folder / name).mkdir()
                self._fetch(f"{path}/{name}", folder / name, taken, depth - 1)
                continue
            with (folder / name).open("wb") as into:
                url = f"{self._url}{ARTIFACTS}/{quote(f'{path}/{name}')}"
                taken[1] += self._egress.fetch(url, self._headers, into, BYTES_MAX - taken[1])

    def _get(self, path: str, asked: dict[str, str], field: str, type: type[T], otherwise: Any = None) -> T:
        said = self._sent("GET", f"{API}{path}?{urlencode(asked)}")
        try:
            return msgspec.convert(said.get(field, otherwise), type, strict=False)
        except msgspec.ValidationError as error:
            raise Integrity("the registry's answer cannot be read", where=path, expected=field, got=str(error)[:200]) from error

    def _sent(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        reply = self._egress.ask(method, self._url + path, self._headers, b"" if body is None else msgspec.json.encode(body))
        where = path.partition("?")[0]
        if reply.status in (401, 403):
            raise Forbidden("the registry wants other credentials", where=where, got=str(reply.status), next_step="set LEVER_MLFLOW_TOKEN")
        if reply.status == 404:
            raise NotFound("the registry has no such thing", where=where, got="404")
        if reply.status == 400:
            raise InvalidInput("the registry does not understand this", where=where, got=reply.body[:200].decode("utf-8", "replace"))
        if reply.status != 200:
            raise Unavailable("the registry does not answer as it should", where=where, got=str(reply.status))
        try:
            return msgspec.json.decode(reply.body or b"{}", type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise Integrity("the registry's answer is no JSON object", where=where, got=str(error)[:120]) from error
