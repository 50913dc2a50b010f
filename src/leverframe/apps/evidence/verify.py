"""Check an evidence pack. It needs Python 3.9 or newer and the installation's public key, and nothing else; it opens no connection.

    python verify.py --key signing.pub [--witness checkpoint.dsse]

Get the key, and the checkpoint of a witness, from somewhere else than this folder: whoever could forge the folder could forge a key in it.
Exit code 0: everything holds. 1: something does not, and it is named. 2: not a pack, or no key.

What is checked: the signature over the list of files; every file against the list; the signed audit chain from the plan's entry to a
signed checkpoint, hash by hash; that plan, approvals, release and versions are the very records the chain names; that the approvals were
given by enough people who are not the plan's author, to exactly this plan, in time; that no stage was climbed without every verdict
passing; and that the versions' bundles are signed and list the evidence that lies here.

Sources: RFC 8032 (Ed25519), DSSE v1, in-toto Statement v1.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

PACK_TYPE = "application/vnd.leverframe.evidence+json"
CHECKPOINT_TYPE = "application/vnd.leverframe.checkpoint+json"
STATEMENT_TYPE = "application/vnd.in-toto+json"
APPROVALS_NEEDED = {"low": 1, "high": 2}

# Ed25519, as RFC 8032 section 6 writes it out ---------------------------------------------------------------------------------

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


def _x_of(y: int, sign: int) -> int | None:
    """The x coordinate of a compressed point, or None."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if sign else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT % P
    if (x * x - square) % P:
        return None
    return P - x if (x & 1) != sign else x


def _point(data: bytes) -> Point | None:
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    x = _x_of(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


def _add(a: Point, b: Point) -> Point:
    first, second = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    third, fourth = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = second - first, fourth - third, fourth + third, second + first
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def _times(scalar: int, point: Point) -> Point:
    total = (0, 1, 1, 0)
    while scalar:
        if scalar & 1:
            total = _add(total, point)
        point, scalar = _add(point, point), scalar >> 1
    return total


def _same(a: Point, b: Point) -> bool:
    return (a[0] * b[2] - b[0] * a[2]) % P == 0 and (a[1] * b[2] - b[1] * a[2]) % P == 0


_BASE_Y = 4 * pow(5, P - 2, P) % P
_BASE_X = _x_of(_BASE_Y, 0) or 0
BASE = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % P)


def signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether ``signature`` (64 bytes) is the owner of ``public`` (32 bytes) signing ``message``."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, r = _point(public), _point(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if key is None or r is None or s >= ORDER:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    return _same(_times(s, BASE), _add(r, _times(h, key)))


# Reading -------------------------------------------------------------------------------------------------------------------


Record = dict[str, Any]


class Broken(Exception):
    """Something that does not hold, in one sentence."""


def public_key(pem: bytes) -> bytes:
    """The 32 bytes of an Ed25519 public key in PEM (SubjectPublicKeyInfo)."""
    body = b"".join(line for line in pem.splitlines() if line and not line.startswith(b"-----"))
    der = base64.b64decode(body)
    if len(der) != 44 or der[:12] != bytes.fromhex("302a300506032b6570032100"):
        raise ValueError("not an Ed25519 public key")
    return der[12:]


def opened(envelope: bytes, kind: str, key: bytes, what: str) -> bytes:
    """The payload of a DSSE envelope, once its signature holds."""
    try:
        parsed = json.loads(envelope)
        payload = base64.b64decode(parsed["payload"], validate=True)
        signatures = [base64.b64decode(each["sig"], validate=True) for each in parsed["signatures"][:16]]
    except (ValueError, KeyError, TypeError):
        raise Broken(f"{what} is not a signed envelope") from None
    if parsed.get("payloadType") != kind:
        raise Broken(f"{what} is signed as {parsed.get('payloadType')!r}, not as {kind!r}")
    name = kind.encode()
    message = b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)
    if not any(signed(key, message, signature) for signature in signatures):
        raise Broken(f"{what} is not signed by this key")
    return payload


def digest(data: bytes) -> str:
    """The name of bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """The one byte form of a value: JSON without white space, UTF-8, keys in order."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


_DEED = ("seq", "at_us", "recorded_at_us", "actor", "roles", "action", "resource", "team", "key", "command")
ENTRY_FIELDS = (*_DEED, "body", "result", "changes", "policy_ids", "prev")


def entry_hash(entry: Record) -> str:
    """The hash an audit entry must carry: over all its other fields, in their order."""
    fields = ["leverframe.audit/1", *(entry[name] for name in ENTRY_FIELDS)]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


# Checking ------------------------------------------------------------------------------------------------------------------


class Pack:
    """One folder, its key, and what was found to hold."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.folder = folder
        self.key = key
        self.held: list[str] = []

    def holds(self, sentence: str) -> None:
        """Note what was checked."""
        self.held.append(sentence)

    def read(self, name: str) -> bytes:
        """A file of the pack."""
        try:
            return (self.folder / name).read_bytes()
        except OSError:
            raise Broken(f"{name} is missing") from None

    def json(self, name: str) -> Any:
        """A file of the pack, parsed."""
        try:
            return json.loads(self.read(name))
        except ValueError:
            raise Broken(f"{name} is not JSON") from None


def check_files(pack: Pack) -> Record:
    """The signed list, and every file against it."""
    listed = json.loads(opened(pack.read("pack.dsse"), PACK_TYPE, pack.key, "pack.dsse"))
    for name, expected in sorted(listed["files"].items()):
        if name.startswith("/") or ".." in name.split("/"):
            raise Broken(f"the list names a file outside the folder: {name}")
        if digest(pack.read(name)) != expected:
            raise Broken(f"{name} is not the file that was signed")
    pack.holds(f"{len(listed['files'])} files are those that were signed")
    return dict(listed)


def check_chain(pack: Pack, witness: bytes | None) -> list[Record]:
    """Every audit entry from the plan's to the checkpoint's, linked by hashes; the checkpoint signed."""
    entries = [json.loads(line) for line in pack.read("audit.jsonl").splitlines()]
    if not entries:
        raise Broken("audit.jsonl is empty")
    for index, entry in enumerate(entries):
        if entry_hash(entry) != entry["hash"]:
            raise Broken(f"audit entry {entry['seq']} was changed after it was written")
        if index and (entry["seq"], entry["prev"]) != (entries[index - 1]["seq"] + 1, entries[index - 1]["hash"]):
            raise Broken(f"audit entry {entry['seq']} does not follow the one before it")
    last = entries[-1]
    checkpoint = json.loads(opened(pack.read("checkpoint.dsse"), CHECKPOINT_TYPE, pack.key, "checkpoint.dsse"))
    if (checkpoint["seq"], checkpoint["hash"]) != (last["seq"], last["hash"]):
        raise Broken("the signed checkpoint is about another end of the chain")
    pack.holds(f"audit entries {entries[0]['seq']} to {last['seq']} are linked by hashes and end at a signed checkpoint")
    if witness is not None:
        seen = json.loads(opened(witness, CHECKPOINT_TYPE, pack.key, "the witness's checkpoint"))
        found = {entry["seq"]: entry["hash"] for entry in entries}
        if seen["seq"] not in found:
            print(f"note: the witness's checkpoint is of entry {seen['seq']}, which is not in this pack")
        elif found[seen["seq"]] != seen["hash"]:
            raise Broken(f"the witness noted another hash for entry {seen['seq']}: the chain was rewritten since")
        else:
            pack.holds(f"the witness's checkpoint of entry {seen['seq']} agrees")
    return entries


def newest_changes(entries: list[Record]) -> dict[tuple[str, str], str]:
    """Record to the digest of its newest revision within the chain."""
    return {(kind, id): name for entry in entries for kind, id, _, name in entry["changes"]}


def check_records(pack: Pack, entries: list[Record]) -> tuple[Record, Record, list[Record]]:
    """Plan, approvals and release are the very bytes the chain names."""
    written = newest_changes(entries)
    plan_bytes, release_bytes = pack.read("plan.json"), pack.read("release.json")
    plan, release = json.loads(plan_bytes), json.loads(release_bytes)
    if digest(plan_bytes) != release["plan"]:
        raise Broken("plan.json is not the plan this release carried out")
    for kind, id, data in (("plan", release["plan"], plan_bytes), ("release", release["id"], release_bytes)):
        if written.get((kind, id)) != digest(data):
            raise Broken(f"{kind}.json is not the record that the audit chain names")
    approvals = pack.json("approvals.json")
    for approval in approvals:
        if written.get(("approval", f"{approval['plan']}/{approval['approver']}")) != digest(canonical(approval)):
            raise Broken(f"the approval by {approval['approver']} is not the record that the audit chain names")
    for granted in pack.json("exceptions.json"):
        if written.get(("exception", f"{granted['plan']}/{granted['rule']}")) != digest(canonical(granted)):
            raise Broken(f"the exception from {granted['rule']} is not the record that the audit chain names")
        if granted["granter"] == plan["author"]:
            raise Broken(f"the exception from {granted['rule']} was granted by the plan's author")
        pack.holds(f"EXCEPTION from {granted['rule']} granted by {granted['granter']}: {granted['reason']}")
    pack.holds("plan, approvals and release are the records that the audit chain names")
    return plan, release, approvals


def check_people(pack: Pack, entries: list[Record], plan: Record, release: Record, approvals: list[Record]) -> None:
    """Enough people, none of them the author, said yes to exactly this plan before it was applied."""
    applied = next((e for e in entries if e["command"] == "ApplyPlan" and e["resource"] == f"plan/{release['plan']}"), None)
    if applied is None:
        raise Broken("the audit chain does not say who applied the plan")
    yes: set[str] = set()
    for entry in entries:
        if entry["seq"] >= applied["seq"]:
            break
        if entry["command"] in ("ApprovePlan", "WithdrawApproval") and entry["resource"] == f"plan/{release['plan']}":
            (yes.add if entry["command"] == "ApprovePlan" else yes.discard)(entry["actor"])
    expired = {a["approver"] for a in approvals if a["expires_us"] <= applied["at_us"]}
    valid = yes - expired - {plan["author"]}
    unattended = "platform" in applied["roles"] and plan["risk_tier"] == "low"
    glass = json.loads(applied["body"]).get("break_glass", "").strip()
    if glass:
        reviewed = [e["actor"] for e in entries if e["command"] == "CloseReview" and e["resource"] == f"release/{release['id']}"]
        pack.holds(f"GLASS BROKEN by {applied['actor']}: {glass}; reviewed by {', '.join(reviewed) or 'nobody yet'}")
    needed = 0 if unattended or glass else APPROVALS_NEEDED.get(plan["risk_tier"], 2)
    if len(valid) < needed:
        raise Broken(f"a {plan['risk_tier']}-risk plan needs {needed} approvals by others than its author; the chain has {len(valid)}")
    if plan["gates"] != "pass":
        raise Broken(f"the version's gates did not pass: {plan['gates']}")
    who = ", ".join(sorted(valid)) or "nobody: low risk, unattended"
    pack.holds(
        f"written by {plan['author']}, approved by {who}, applied by {applied['actor']} (policies {', '.join(applied['policy_ids'])})"
    )


def check_verdicts(pack: Pack, entries: list[Record], release: Record) -> None:
    """Every step up the ladder stands on verdicts that all pass."""
    steps = [e for e in entries if e["command"] == "AdvanceRelease" and e["resource"] == f"release/{release['id']}"]
    for step in steps:
        body = json.loads(step["body"])
        failing = [verdict["rule"] for verdict in body.get("verdicts", []) if verdict["answer"] != "pass"]
        if failing or not body.get("verdicts"):
            raise Broken(f"entry {step['seq']} climbed without evidence: {', '.join(failing) or 'no verdict at all'}")
    pack.holds(f"{len(steps)} steps up the ladder, each with every verdict passing")


def check_bundles(pack: Pack, plan: Record) -> None:
    """The versions' bundles are signed, and the evidence that lies here is theirs."""
    for role in ("candidate", "champion"):
        version = plan[role]
        if version is None:
            continue
        place = f"versions/{role}"
        manifest = pack.read(f"{place}/manifest.json")
        if digest(manifest) != version["bundle"]:
            raise Broken(f"{place}/manifest.json is not the bundle of {version['version']}")
        statement = json.loads(opened(pack.read(f"{place}/envelope.dsse"), STATEMENT_TYPE, pack.key, f"the bundle of {version['version']}"))
        subjects = {each["name"]: "sha256:" + each["digest"]["sha256"] for each in statement["subject"]}
        if subjects.get("manifest.json") != version["bundle"]:
            raise Broken(f"the signature of {version['version']} is about another bundle")
        files = json.loads(manifest)["files"]
        for path in sorted((pack.folder / place / "files").glob("*")):
            if path.name not in files or digest(path.read_bytes()) != files[path.name]["digest"]:
                raise Broken(f"{place}/files/{path.name} is not of the bundle of {version['version']}")
        pack.holds(f"{role} {version['version']}: bundle signed, its evidence is its own")


def verify(folder: Path, key: bytes, witness: bytes | None = None) -> list[str]:
    """Everything that holds, as sentences.

    Raises
    ------
    Broken: the first thing that does not.
    """
    pack = Pack(folder, key)
    check_files(pack)
    entries = check_chain(pack, witness)
    plan, release, approvals = check_records(pack, entries)
    check_people(pack, entries, plan, release, approvals)
    check_verdicts(pack, entries, release)
    check_bundles(pack, plan)
    pack.holds(
        f"release {release['id']} of {plan['candidate']['version']} to {release['environment']}/{release['endpoint']}: {release['state']}"
    )
    return pack.held


def main() -> int:
    """Check the folder this file lies in."""
    parser = argparse.ArgumentParser(description="Check an evidence pack: Python and the public key are all it needs.")
    parser.add_argument("--key", required=True, help="the installation's public key (signing.pub), from outside this folder")
    parser.add_argument("--witness", help="a signed checkpoint that somebody else kept")
    parser.add_argument("folder", nargs="?", default=str(Path(__file__).parent))
    asked = parser.parse_args()
    try:
        key = public_key(Path(asked.key).read_bytes())
        witness = Path(asked.witness).read_bytes() if asked.witness else None
    except (OSError, ValueError) as error:
        print(f"cannot be used: {error}", file=sys.stderr)
        return 2
    try:
        held = verify(Path(asked.folder), key, witness)
    except Broken as error:
        print(f"BROKEN: {error}")
        return 1
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        print(f"BROKEN: not as a pack is ({type(error).__name__}: {error})")
        return 1
    print("\n".join(f"holds: {sentence}" for sentence in held))
    return 0


if __name__ == "__main__":
    sys.exit(main())
