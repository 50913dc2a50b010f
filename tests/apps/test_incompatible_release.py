"""A version that today's callers could not use is not planned, unless the plan says that it is a major change."""

from types import SimpleNamespace

import msgspec
import pytest
from tests.release.harness import ALICE, ENV, NAME, Rig, version
from tests.serving.installation import PLAIN, Installation, gateway, infer_body, table

from leverframe.apps.gateway_view.probe import GatewayProbe
from leverframe.apps.platform.release import Releases
from leverframe.apps.platform.views import PlanRequest
from leverframe.core.errors import Refused
from leverframe.core.route import Endpoint
from leverframe.core.schema import OutputField, RequestField
from leverframe.governance.policy import Policy
from leverframe.governance.signing import TrustStore

OPTIONAL = msgspec.structs.replace(PLAIN, request=(*PLAIN.request, RequestField(name="x4", datatype="FP64", required=False)))
REQUIRED = msgspec.structs.replace(PLAIN, request=(*PLAIN.request, RequestField(name="x4", datatype="FP64")))
RENAMED = msgspec.structs.replace(PLAIN, outputs=(OutputField(name="score"),))
SIGNATURES = (PLAIN, OPTIONAL, REQUIRED, RENAMED)


def releases(installation: Installation, port: int) -> Releases:
    """The use cases over a journal in memory, with real bundles and a real probe; version 1 is live."""
    versions = []
    for number, signature in enumerate(SIGNATURES, 1):
        arm = installation.arm(f"{NAME}@v{number}", number, signature=signature)
        versions.append(msgspec.structs.replace(version(number), bundle=arm.bundle, envelope=arm.envelope))
    rig = Rig(versions=versions)
    ledger = SimpleNamespace(
        get=rig.journal.get,
        find=rig.journal.find,
        write=lambda actor, command, *, key: rig.journal.write(actor, with_team(command), key=key),
    )
    parts = SimpleNamespace(
        ledger=ledger,
        artifacts=installation.artifacts,
        trust=TrustStore.from_folder(installation.home / "keys"),
        probe=GatewayProbe("127.0.0.1", port),
        settings=SimpleNamespace(environment=ENV),
        clock=rig.clock,
        policy=Policy(),
        publisher=SimpleNamespace(traffic=lambda: None),
    )
    parts.whole = parts
    return Releases(parts)


def with_team(command: object) -> object:
    return msgspec.structs.replace(command, owner_team="delays")


def plan(releases: Releases, number: int, **overrides: object):
    request = PlanRequest(endpoint=NAME, version=f"{NAME}@v{number}", environment=ENV, overrides=overrides)
    return releases.plan(ALICE, request, key=f"plan-{number}-{len(overrides)}")


def test_what_breaks_callers_needs_to_be_called_a_major_change(tmp_path):
    """With no gateway to ask, everything the live version declares counts as sent."""
    platform = releases(Installation(tmp_path), 9)
    assert plan(platform, 2).digest
    for number, where in ((3, "x4"), (4, "probability")):
        with pytest.raises(Refused) as caught:
            plan(platform, number)
        assert [fault.where for fault in caught.value.faults] == [where]
        assert "--major" in caught.value.next_step
        planned = plan(platform, number, major=True)
        assert f"major change, {where}" in planned.plan["note"], "what breaks is not part of what is approved"


def test_what_callers_really_send_is_asked_of_the_gateway(tmp_path):
    installation = Installation(tmp_path)
    installation.publish(table(Endpoint(name=NAME, arms=(installation.arm(f"{NAME}@v1", 1),)), callers=False))
    packed = {"inputs": [{"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": [0.1, 0.2, 0.3, 0.4]}]}
    with gateway(tmp_path) as running:
        platform = releases(installation, running.port)
        assert running.call(f"/v2/models/{NAME}/infer", infer_body([0.0] * 4))[0] == 200
        assert running.call(f"/v2/models/{NAME}/infer", {"inputs": []})[0] == 400
        seen = running.page()["requests"][NAME]
        assert seen == {"forms": [{"inputs": [[f"x{i}", "FP64"] for i in range(4)], "packed": 0, "count": 1}], "others": 0}
        assert plan(platform, 2).digest, "an optional field more is no harm to callers who name their inputs"
        for _ in range(200):  # the usual form takes the short way, where one in 64 is looked at
            assert running.call(f"/v2/models/{NAME}/infer", packed)[0] == 200
        assert sum(form["count"] for form in running.page()["requests"][NAME]["forms"] if form["packed"] == 4) > 50
        with pytest.raises(Refused, match="one table without column names"):
            plan(platform, 2)


def test_forms_are_bounded():
    from leverframe.serving.doors.forms import FORMS_MAX, PAGE_FORMS_MAX, SeenForms
    from leverframe.serving.protocol.oip import InferDocument
    from leverframe.serving.protocol.tensors import Tensor

    forms = SeenForms()
    for endpoint in range(40):
        for number in range(100):
            forms.note(f"e{endpoint}", InferDocument([Tensor(f"x{number}", [1], "FP64")]), {})
        forms.note(f"e{endpoint}", InferDocument([Tensor("x" * 10_000, [1], "FP64")]), {})
    page = forms.page()
    assert sum(len(each["forms"]) for each in page.values()) == PAGE_FORMS_MAX
    assert page["e0"]["others"] == 100 - FORMS_MAX + 1
    assert len(msgspec.json.encode(page)) < 100_000
