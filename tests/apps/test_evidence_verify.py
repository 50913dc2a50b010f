"""The verifier of evidence packs, piece by piece: it shares no code with what it checks, so each piece is held against the real one."""

import json

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from leverframe.apps.evidence import verify
from leverframe.core.digest import canonical_json
from leverframe.governance.ledger.chain import AuditEntry, Change, entry_hash
from leverframe.governance.signing import SigningKey

texts = st.text(max_size=40)
KEY = SigningKey.generate()


@settings(max_examples=25, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 511))
def test_signatures_as_the_library_has_them(message, flipped):
    key = Ed25519PrivateKey.generate()
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert verify.signed(public, message, signature)
    bad = bytearray(signature)
    bad[flipped // 8] ^= 1 << flipped % 8
    assert not verify.signed(public, message, bytes(bad)), "a flipped bit of a signature was not seen"
    assert not verify.signed(public, message + b"x", signature)


def test_rfc_8032_test_2():
    """The published vector, so that library and verifier cannot be wrong together."""
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert verify.signed(public, b"\x72", signature)


def test_a_signature_with_a_large_s_is_refused():
    """Adding the group's order to S gives a second signature of the same message: RFC 8032 says no."""
    key = Ed25519PrivateKey.generate()
    signature = key.sign(b"m")
    large = int.from_bytes(signature[32:], "little") + verify.ORDER
    assert not verify.signed(key.public_key().public_bytes_raw(), b"m", signature[:32] + large.to_bytes(32, "little"))


@given(texts, texts, st.lists(texts, max_size=3), st.integers(0, 2**62))
def test_an_entry_has_the_hash_the_ledger_gave_it(actor, body, roles, at_us):
    """Two JSON writers must agree on every character, or an honest chain would look forged."""
    changes = (Change("plan", actor, 1, None), Change("x", "y", 2, "sha256:0"))
    entry = AuditEntry(
        seq=1,
        at_us=at_us,
        recorded_at_us=2,
        actor=actor,
        roles=tuple(roles),
        action="A",
        resource=body,
        team="",
        key="k",
        command="C",
        body=body,
        result="null",
        changes=changes,
        policy_ids=("p",),
        prev="0" * 64,
    )
    sent = json.loads(msgspec.json.encode(msgspec.structs.replace(entry, hash=entry_hash(entry))))
    assert verify.entry_hash(sent) == sent["hash"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**62), 2**62) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
)


@given(json_values)
def test_canonical_bytes_are_the_platforms(value):
    assert verify.canonical(value) == canonical_json(value)


def test_an_envelope_of_another_key_or_kind_is_refused():
    envelope = KEY.sign(verify.CHECKPOINT_TYPE, b"{}")
    public = verify.public_key(KEY.public_pem)
    assert verify.opened(envelope, verify.CHECKPOINT_TYPE, public, "it") == b"{}"
    with pytest.raises(verify.Broken, match="not signed by this key"):
        verify.opened(envelope, verify.CHECKPOINT_TYPE, verify.public_key(SigningKey.generate().public_pem), "it")
    with pytest.raises(verify.Broken, match="signed as"):
        verify.opened(envelope, verify.PACK_TYPE, public, "it")


def _advance(verdicts):
    return {"seq": 9, "command": "AdvanceRelease", "resource": "release/r1", "body": json.dumps({"verdicts": verdicts})}


@pytest.mark.parametrize(
    ("verdicts", "fault"),
    [([{"rule": "errors", "answer": "pass"}], ""), ([{"rule": "errors", "answer": "inconclusive"}], "errors"), ([], "no verdict at all")],
)
def test_a_climb_without_evidence_is_named(tmp_path, verdicts, fault):
    pack = verify.Pack(tmp_path, b"")
    if not fault:
        verify.check_verdicts(pack, [_advance(verdicts)], {"id": "r1"})
        assert pack.held == ["1 steps up the ladder, each with every verdict passing"]
        return
    with pytest.raises(verify.Broken, match=fault):
        verify.check_verdicts(pack, [_advance(verdicts)], {"id": "r1"})


PLAN = {"author": "ana", "risk_tier": "high", "gates": "pass"}
APPLIED = {
    "seq": 5,
    "command": "ApplyPlan",
    "resource": "plan/p",
    "actor": "eva",
    "roles": [],
    "policy_ids": ["engineer"],
    "at_us": 50,
    "body": "{}",
}


def _said(seq, who, command="ApprovePlan"):
    return {"seq": seq, "command": command, "resource": "plan/p", "actor": who}


@pytest.mark.parametrize(
    ("said", "approvals", "held"),
    [
        ([_said(1, "ben"), _said(2, "cleo")], [("ben", 99), ("cleo", 99)], True),
        ([_said(1, "ben"), _said(2, "ben")], [("ben", 99)], False),
        ([_said(1, "ben"), _said(2, "ana")], [("ben", 99), ("ana", 99)], False),
        ([_said(1, "ben"), _said(2, "cleo"), _said(3, "cleo", "WithdrawApproval")], [("ben", 99), ("cleo", 99)], False),
        ([_said(1, "ben"), _said(2, "cleo")], [("ben", 99), ("cleo", 40)], False),
        ([_said(1, "ben"), _said(6, "cleo")], [("ben", 99), ("cleo", 99)], False),
    ],
    ids=["two others", "one twice", "the author", "withdrawn", "expired", "afterwards"],
)
def test_two_people_other_than_the_author(tmp_path, said, approvals, held):
    entries = sorted([*said, APPLIED], key=lambda entry: entry["seq"])
    given_ = [{"approver": who, "expires_us": until} for who, until in approvals]
    asked = (verify.Pack(tmp_path, b""), entries, PLAN, {"plan": "p"}, given_)
    if held:
        verify.check_people(*asked)
    else:
        with pytest.raises(verify.Broken, match="needs 2 approvals"):
            verify.check_people(*asked)


def test_broken_glass_is_told_and_needs_no_approvals(tmp_path):
    pack = verify.Pack(tmp_path, b"")
    applied = APPLIED | {"actor": "olga", "body": json.dumps({"break_glass": "the model is down"})}
    review = {"seq": 6, "command": "CloseReview", "resource": "release/r1", "actor": "ben"}
    verify.check_people(pack, [applied, review], PLAN, {"plan": "p", "id": "r1"}, [])
    assert pack.held[0] == "GLASS BROKEN by olga: the model is down; reviewed by ben"
