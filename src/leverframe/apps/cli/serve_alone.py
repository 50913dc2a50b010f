"""One model behind a gateway of its own: a bundle is found, verified, and routed in a temporary home whose routes are signed here.

A bundle folder holds ``manifest.json``, ``envelope.json`` (the DSSE envelope) and the files that the manifest names.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from leverframe.core.digest import Digest, canonical_json
from leverframe.core.errors import Integrity, LeverframeError, NotFound, Refused
from leverframe.core.model import SIGNATURE, BundleManifest
from leverframe.core.route import Arm, Endpoint, RouteTable
from leverframe.core.schema import RequestField, Signature
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import MANIFEST_SUBJECT, Bundle, check_file_name, open_bundle
from leverframe.governance.publication import Publication
from leverframe.governance.signing import TrustStore, load_or_create
from leverframe.serving.routes.tables import ROUTES_TYPE, read_table, routes_name

ENVELOPE_FILE = "envelope.json"
MANIFEST_BYTES_MAX = 1 << 20
"""A larger manifest or envelope is no bundle's."""


class Alone(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway is started with: the home it gets, where its bundles lie (empty: there), the endpoint to try and what it takes."""

    home: Path
    artifacts_url: str
    endpoint: str
    version: str
    fields: tuple[RequestField, ...]


def published_table(home: Path, environment: str, publication_url: str = "") -> RouteTable | None:
    """The route table published in ``home``, or None.

    Raises
    ------
    Integrity: it is not signed by the home's key.
    """
    envelope = Publication(publication_url or str(home / "published")).read(routes_name(environment))
    return None if envelope is None else read_table(envelope, TrustStore.from_folder(home / "keys"), environment)


@contextmanager
def bundle_folder(folder: Path, keys: Path, environment: str) -> Iterator[Alone]:
    """A home, gone afterwards, that serves the unpacked bundle in ``folder``; signatures by the keys in ``keys`` count.

    Raises
    ------
    NotFound: no bundle there, or no keys.  Integrity: a file is missing or changed, or no trusted key signed.
    """
    manifest_bytes, envelope = _small(folder / MANIFEST_SUBJECT), _small(folder / ENVELOPE_FILE)
    try:
        manifest = msgspec.json.decode(manifest_bytes, type=BundleManifest)
    except msgspec.MsgspecError as error:
        raise Integrity("not a bundle's manifest", where=str(folder / MANIFEST_SUBJECT), got=str(error)[:120]) from error
    with tempfile.TemporaryDirectory(prefix="lever-serve-") as place:
        home = Path(place)
        store = ArtifactStore(str(home / "artifacts"))
        for name in manifest.files:
            try:
                store.put((folder / check_file_name(name)).read_bytes())
            except OSError as error:
                raise Integrity("a file that the manifest names cannot be read", where=name, got=type(error).__name__) from error
        yield _routed(
            home, "", store, _trusted(keys), store.put(manifest_bytes), store.put(envelope), f"{manifest.model}@local", environment
        )


@contextmanager
def bundle_of_home(home: Path, arm: Arm, environment: str, artifacts_url: str = "") -> Iterator[Alone]:
    """A home, gone afterwards, that serves the bundle of ``arm`` out of the installation in ``home``, with its online features."""
    url = artifacts_url or str((home / "artifacts").resolve())
    with tempfile.TemporaryDirectory(prefix="lever-serve-") as place:
        temporary = Path(place)
        (temporary / "online").symlink_to((home / "online").resolve(), target_is_directory=True)
        yield _routed(temporary, url, ArtifactStore(url), _trusted(home / "keys"), arm.bundle, arm.envelope, arm.version, environment)


def arm_called(table: RouteTable | None, name: str) -> Arm | None:
    """The arm that ``name`` means: an endpoint's live arm, or the arm of a version or of a bundle's digest."""
    endpoints = table.endpoints if table is not None else ()
    for endpoint in endpoints:
        if endpoint.name == name:
            return endpoint.live
    arms = (arm for endpoint in endpoints for arm in endpoint.arms)
    return next((arm for arm in arms if name in (arm.version, arm.bundle)), None)


def first_endpoint(home: Path, table: RouteTable | None, artifacts_url: str = "") -> tuple[str, tuple[RequestField, ...]] | None:
    """An endpoint to show, with what its live model takes; None when there is none that can be opened."""
    store = ArtifactStore(artifacts_url or str(home / "artifacts"))
    for endpoint in table.endpoints if table is not None else ():
        if endpoint.live is not None:
            try:
                trust = TrustStore.from_folder(home / "keys")
                return endpoint.name, _fields(open_bundle(store, trust, endpoint.live.bundle, endpoint.live.envelope))
            except LeverframeError:
                continue
    return None


def _routed(
    home: Path, url: str, store: ArtifactStore, trust: dict[str, bytes], bundle: Digest, envelope: Digest, version: str, environment: str
) -> Alone:
    """Verify the bundle, then sign and publish the one route to it."""
    opened = open_bundle(store, TrustStore(trust.values()), bundle, envelope)
    fields = _fields(opened)
    name = opened.manifest.model
    key = load_or_create(home / "keys")
    for file, pem in trust.items():
        (home / "keys" / f"trusted-{file}").write_bytes(pem)
    arm = Arm(version=version, bundle=bundle, envelope=envelope, role="live", weight=100.0)
    # The time is the bundle's own: nothing here depends on when it is served.
    table = RouteTable(
        environment=environment, generation=1, issued_at_us=opened.manifest.created_at_us, endpoints=(Endpoint(name=name, arms=(arm,)),)
    )
    Publication(str(home / "published")).publish(routes_name(environment), key.sign(ROUTES_TYPE, canonical_json(table)))
    return Alone(home=home, artifacts_url=url, endpoint=name, version=version, fields=fields)


def _fields(bundle: Bundle) -> tuple[RequestField, ...]:
    return msgspec.json.decode(bundle.read(SIGNATURE), type=Signature).request


def _small(path: Path) -> bytes:
    try:
        if path.stat().st_size > MANIFEST_BYTES_MAX:
            raise Refused("too large for a bundle", where=str(path), expected=f"at most {MANIFEST_BYTES_MAX:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise NotFound(
            "not a bundle folder",
            where=str(path.parent),
            expected=f"{MANIFEST_SUBJECT}, {ENVELOPE_FILE} and the files",
            got=f"no {path.name}",
        ) from error


def _trusted(folder: Path) -> dict[str, bytes]:
    """The public keys in ``folder``, by file name."""
    keys = {path.name: path.read_bytes() for path in sorted(folder.glob("*.pub"))}
    if not keys:
        raise NotFound(
            "no public keys to trust", where=str(folder), expected="*.pub files", next_step="name their folder with --trust, or --home"
        )
    return keys
