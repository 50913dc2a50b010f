"""Chapter 10: what was live when and why, the chain verified, and a tampered copy found out."""

import json
import time

from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, ENVIRONMENT, Stage
from leverframe.core.clock import iso_from_us
from leverframe.governance.ledger.copies import verify_export
from leverframe.governance.signing import TrustStore

ASKED = (moment_us(4, 15, 12), moment_us(5, 20, 12), moment_us(6, 19, 12))


def tamper(lines: bytes) -> bytes:
    """A copy of the exported chain in which one actor was changed, somewhere in the middle."""
    copied = lines.splitlines()
    entries = [index for index, line in enumerate(copied) if json.loads(line)["type"] == "entry"]
    middle = entries[len(entries) // 2]
    changed = json.loads(copied[middle])
    changed["entry"]["actor"] = "nobody"
    copied[middle] = json.dumps(changed).encode()
    return b"\n".join(copied)


def tell(stage: Stage) -> None:
    """Ask the ledger, verify the chain, and break a copy of it."""
    with stage.timeline.chapter("The record: what was live, by whose decision, and a chain that cannot be edited", "record"):
        olga = stage.people["olga"]
        answers = []
        for at_us in ASKED:
            (entry,) = olga.release.history(ENVIRONMENT, ENDPOINT, at_us)
            stage.timeline.say(
                f"{iso_from_us(at_us)[:16]}: {entry.version} ({', '.join(entry.arms)}), put there by {entry.actor} with {entry.release}"
                f"{', approved by ' + ', '.join(entry.approvals) if entry.approvals else ''}"
            )
            stage.timeline.note(entry.reason[:160])
            answers.append(
                {"at": iso_from_us(at_us), "version": entry.version, "release": entry.release, "why": entry.reason, "seq": entry.seq}
            )
        admin = stage.people["admin"]
        verified = admin.audit.verify()
        stage.timeline.good(
            f"{verified.entries:,} audit entries verified in {verified.seconds:.2f} s: {verified.what or 'the chain holds'}"
        )
        started = time.perf_counter()
        found = verify_export(tamper(admin.audit.export()).splitlines(keepends=True), TrustStore.from_folder(stage.settings.keys_folder))
        stage.timeline.bad(
            f"a tampered copy is found out at entry {found.first_bad_seq}: {found.what} ({time.perf_counter() - started:.2f} s, offline)"
        )
        assert verified.ok, verified
        assert not found.ok, "a tampered chain was believed"
    stage.figures["record"] = {
        "history": answers,
        "audit": {"entries": verified.entries, "ok": verified.ok, "seconds": verified.seconds},
        "tampered_copy": {"ok": found.ok, "first_bad_seq": found.first_bad_seq, "what": found.what},
    }
