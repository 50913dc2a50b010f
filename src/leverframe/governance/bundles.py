"""A model version as bytes: files, a manifest that names them by digest, and a signed statement about both.

Source: in-toto Statement v1 (in-toto/attestation, ``spec/v1/statement.md``) in a DSSE envelope; decision 0002.
"""

import re
from collections.abc import Mapping

import msgspec

from leverframe.core.digest import Digest, canonical_json, digest_bytes
from leverframe.core.errors import Integrity, InvalidInput, LimitExceeded, NotFound
from leverframe.core.model import PYFUNC, BundleFile, BundleManifest
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.signing import SigningKey, TrustStore

STATEMENT_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://leverframe.dev/bundle/v1"
MANIFEST_SUBJECT = "manifest.json"
FILES_MAX = 256
FILE_BYTES_MAX = 2 * 1024**3

_STATEMENT = "https://in-toto.io/Statement/v1"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# A foreign model keeps its folders: plain parts, none hidden, none that leads upwards.
_PYFUNC_NAME = re.compile(rf"{PYFUNC}(?:[A-Za-z0-9_][A-Za-z0-9._-]{{0,99}}/){{0,8}}[A-Za-z0-9_][A-Za-z0-9._-]{{0,99}}")


class _Subject(msgspec.Struct, frozen=True):
    name: str
    digest: dict[str, str]


class _Predicate(msgspec.Struct, frozen=True, rename="camel"):
    model: str
    created_at_us: int


class _Statement(msgspec.Struct, frozen=True, rename="camel"):
    type: str = msgspec.field(name="_type")
    subject: tuple[_Subject, ...]
    predicate_type: str
    predicate: _Predicate


class Bundle:
    """An opened bundle: its signature held, its manifest and every file were there and intact."""

    def __init__(self, store: ArtifactStore, digest: Digest, manifest: BundleManifest) -> None:
        self._store = store
        self.digest = digest
        self.manifest = manifest

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its files, sorted."""
        return tuple(sorted(self.manifest.files))

    def read(self, name: str) -> bytes:
        """The bytes of file ``name``, checked against the manifest now.

        Raises
        ------
        NotFound: the bundle has no such file.  Integrity: its bytes are gone or changed.
        """
        file = self.manifest.files.get(name)
        if file is None:
            raise NotFound("the bundle has no such file", where=f"{self.manifest.model}/{name}", expected=", ".join(self.names))
        data = _get(self._store, file.digest, f"{self.manifest.model}/{name}")
        if len(data) != file.size:
            raise Integrity("file has another size", where=name, expected=f"{file.size} bytes", got=f"{len(data)} bytes")
        return data


def check_file_name(name: str) -> str:
    """Return ``name`` if it can be a file of a bundle: letters, digits, ``._-``; no folder but below ``pyfunc/``.

    Raises
    ------
    InvalidInput: anything else.

    >>> check_file_name("model.onnx")
    'model.onnx'
    """
    if not _is_file_name(name) or name == MANIFEST_SUBJECT:
        raise InvalidInput("not a file name for a bundle", where="bundle", expected="letters, digits, . _ - and no folder", got=name[:80])
    return name


def _is_file_name(name: str) -> bool:
    return bool(_FILE_NAME.fullmatch(name) or _PYFUNC_NAME.fullmatch(name))


def write_bundle(
    store: ArtifactStore, key: SigningKey, *, model: str, files: Mapping[str, bytes], created_at_us: int
) -> tuple[Digest, Digest]:
    """Keep the files, then the manifest, then the signed envelope; return the digests of manifest and envelope.

    Bytes first: whoever holds the returned digests can read everything below them. The same input gives the same digests.

    Raises
    ------
    InvalidInput: a file name that is not plain, or no files.  LimitExceeded: too many or too large files.
    Unavailable: nothing to rely on was kept.
    """
    if not files:
        raise InvalidInput("a bundle needs files", where=model)
    if len(files) > FILES_MAX or any(len(data) > FILE_BYTES_MAX for data in files.values()):
        raise LimitExceeded(
            "bundle too large", where=model, expected=f"{FILES_MAX} files of {FILE_BYTES_MAX} bytes", got=f"{len(files)} files"
        )
    entries = {check_file_name(name): BundleFile(digest=digest_bytes(data), size=len(data)) for name, data in sorted(files.items())}
    manifest = BundleManifest(model=model, files=entries, created_at_us=created_at_us)
    for data in files.values():
        store.put(data)
    manifest_digest = store.put(canonical_json(manifest))
    statement = _Statement(
        type=_STATEMENT,
        subject=_subjects(manifest_digest, manifest),
        predicate_type=PREDICATE_TYPE,
        predicate=_Predicate(model=model, created_at_us=created_at_us),
    )
    return manifest_digest, store.put(key.sign(STATEMENT_TYPE, canonical_json(statement)))


def open_bundle(store: ArtifactStore, trust: TrustStore, manifest_digest: Digest, envelope_digest: Digest) -> Bundle:
    """The bundle, once its signature, manifest and every file have been checked.

    Raises
    ------
    Integrity: anything is missing, changed, swapped or not signed by a trusted key.  Unavailable: the store does not answer.
    """
    envelope = _get(store, envelope_digest, "envelope")
    try:
        statement = msgspec.json.decode(trust.verify(envelope, STATEMENT_TYPE), type=_Statement)
        manifest = msgspec.json.decode(_get(store, manifest_digest, "manifest"), type=BundleManifest)
    except msgspec.MsgspecError as error:
        raise Integrity("not a bundle", where=manifest_digest, got=str(error)) from error
    if (statement.type, statement.predicate_type) != (_STATEMENT, PREDICATE_TYPE):
        raise Integrity(
            "the signature is not about a bundle", where=envelope_digest, expected=PREDICATE_TYPE, got=statement.predicate_type[:100]
        )
    if statement.subject != _subjects(manifest_digest, manifest) or statement.predicate.model != manifest.model:
        raise Integrity("the signature is about another bundle", where=manifest_digest, expected=f"a statement about {manifest.model}")
    bundle = Bundle(store, manifest_digest, manifest)
    for name in bundle.names:
        if not _is_file_name(name):
            raise Integrity("the manifest names a file it must not", where=manifest_digest, got=name[:80])
        bundle.read(name)
    return bundle


def _subjects(manifest_digest: Digest, manifest: BundleManifest) -> tuple[_Subject, ...]:
    named = [(MANIFEST_SUBJECT, manifest_digest), *((name, file.digest) for name, file in sorted(manifest.files.items()))]
    return tuple(_Subject(name, {"sha256": digest.partition(":")[2]}) for name, digest in named)


def _get(store: ArtifactStore, digest: Digest, where: str) -> bytes:
    """Bytes a signed record promises: if they are gone, that is damage, not a wrong question."""
    try:
        return store.get(digest)
    except NotFound as error:
        raise Integrity("bytes the bundle needs are gone", where=where, expected=digest, got="nothing") from error
    except InvalidInput as error:
        raise Integrity("a digest in the bundle is malformed", where=where) from error
