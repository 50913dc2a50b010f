"""What a release was decided on, as files by name; the last of them signs all others."""

import io
import zipfile
from collections.abc import Iterator, Mapping
from importlib.resources import files as resources

import msgspec

from leverframe.core.digest import canonical_json, digest_bytes
from leverframe.core.errors import LimitExceeded, NotFound
from leverframe.core.model import BILL_OF_MATERIALS, CARD, ENVIRONMENT, EVALUATION, LINEAGE, PROVENANCE, SIGNATURE, SPEC
from leverframe.governance.artifacts import ArtifactStore
from leverframe.governance.bundles import open_bundle
from leverframe.governance.ledger.chain import AuditEntry
from leverframe.governance.ledger.checkpoints import read_checkpoint
from leverframe.governance.ledger.store import Ledger
from leverframe.governance.signing import SigningKey, TrustStore
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan, VersionRef
from leverframe.release.records import KIND_APPROVAL, KIND_EVIDENCE, KIND_RELEASE, Approval, EvidenceNote, Release
from leverframe.release.requirements.exceptions import KIND_EXCEPTION, RuleException

PACK_TYPE = "application/vnd.leverframe.evidence+json"
ENTRIES_MAX = 200_000
"""Audit entries between the plan and the end of the chain; beyond it the whole chain is the better thing to hand over."""
PAGE_ROWS = 10_000
BUNDLE_FILES = (SPEC, SIGNATURE, EVALUATION, CARD, LINEAGE, PROVENANCE, BILL_OF_MATERIALS, ENVIRONMENT)
"""What of a bundle is evidence; the model itself stays where it is, named by its digest in the manifest."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """What is signed: the release, when the pack was made, and every file by its digest."""

    release: str
    made_at_us: int
    files: dict[str, str]


def evidence_pack(ledger: Ledger, artifacts: ArtifactStore, key: SigningKey, trust: TrustStore, release_id: str, *, now_us: int) -> bytes:
    """The pack of a release as a ZIP archive; the same ledger gives the same files.

    Raises
    ------
    NotFound: no such release.    LimitExceeded: more audit entries than a pack holds.    Integrity: a version's bundle is damaged.
    """
    release = ledger.get(KIND_RELEASE, release_id, Release)
    plan = ledger.get(KIND_PLAN, release.plan, ReleasePlan) if release is not None else None
    if release is None or plan is None:
        raise NotFound("no such release", where=release_id[:120], next_step="lever release list")
    # The chain is read up to a checkpoint that is signed first: what is written meanwhile belongs to the next pack.
    checkpoint = ledger.checkpoint(key)
    entries = list(_entries(ledger, ledger.history(KIND_PLAN, release.plan, ReleasePlan)[0].seq, read_checkpoint(trust, checkpoint).seq))
    # As of the checkpoint: every record's bytes are those whose digest the chain names last.
    found: dict[str, bytes] = {
        "plan.json": canonical_json(plan),
        "release.json": canonical_json(release),
        "approvals.json": canonical_json(ledger.find(KIND_APPROVAL, Approval, prefix=f"{release.plan}/")),
        "exceptions.json": canonical_json(ledger.find(KIND_EXCEPTION, RuleException, prefix=f"{release.plan}/")),
        "intervals.json": canonical_json(ledger.find(KIND_EVIDENCE, EvidenceNote, prefix=f"{release.id}/")),
        "audit.jsonl": b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries),
        "checkpoint.dsse": checkpoint,
        "verify.py": (resources("leverframe.apps.evidence") / "verify.py").read_bytes(),
        "README.txt": _readme(release, plan),
    }
    for role, version in (("candidate", plan.candidate), ("champion", plan.champion)):
        if version is not None:
            found |= _version_files(artifacts, trust, role, version)
    listing = Listing(release=release.id, made_at_us=now_us, files={name: digest_bytes(data) for name, data in sorted(found.items())})
    found["pack.dsse"] = key.sign(PACK_TYPE, canonical_json(listing))
    return _zip(found)


def _entries(ledger: Ledger, first_seq: int, last_seq: int) -> Iterator[AuditEntry]:
    if last_seq - first_seq >= ENTRIES_MAX:
        raise LimitExceeded(
            "too much happened since this release for one pack",
            where="audit chain",
            expected=f"at most {ENTRIES_MAX:,} entries from the plan on",
            got=f"{last_seq - first_seq + 1:,}",
            next_step="lever audit export --out audit.jsonl, then lever audit verify --file audit.jsonl",
        )
    after = first_seq - 1
    while after < last_seq:
        page = ledger.audit(after=after, limit=min(PAGE_ROWS, last_seq - after))
        yield from page
        after = page[-1].seq


def _version_files(artifacts: ArtifactStore, trust: TrustStore, role: str, version: VersionRef) -> Mapping[str, bytes]:
    bundle = open_bundle(artifacts, trust, version.bundle, version.envelope)
    place = f"versions/{role}"
    found = {f"{place}/files/{name}": bundle.read(name) for name in BUNDLE_FILES if name in bundle.names}
    return found | {
        f"{place}/manifest.json": artifacts.get(version.bundle),
        f"{place}/envelope.dsse": artifacts.get(version.envelope),
    }


def _readme(release: Release, plan: ReleasePlan) -> bytes:
    return f"""Evidence of release {release.id}: {plan.candidate.version} to {release.environment}/{release.endpoint}, {release.state}.

Check it on any machine, without a network:

    python verify.py --key signing.pub

signing.pub is the public key of the installation; get it from its operators, not from this folder. A checkpoint of the audit chain that
somebody else kept can be given with --witness: it shows whether the chain was rewritten since.

plan.json            what was going to happen; its SHA-256 is what people approved
approvals.json       who approved it, and when
exceptions.json      which rules were lifted for it, by whom, why, until when
release.json         what happened, stage by stage, with the verdicts
intervals.json       the intervals behind the verdicts, look by look
audit.jsonl          every audit entry from the plan on, each carrying the hash of the one before it
checkpoint.dsse      a signed statement of where that chain ends
versions/            manifests and signatures of both versions, and of each bundle what it was judged by
pack.dsse            the signed list of all files
""".encode()


def _zip(found: Mapping[str, bytes]) -> bytes:
    """Files in the order of their names, all of one date: the same files give the same archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(found.items()):
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
