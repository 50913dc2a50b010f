"""Limits of endpoints and quotas of tenants: what is set is in the route table, with a new generation."""

import pytest
from tests.release.harness import ALICE, ENV, NAME, TEAM, Rig

from leverframe.core.actor import Actor
from leverframe.core.errors import Forbidden, InvalidInput, NotFound
from leverframe.core.route import Quota
from leverframe.governance.policy import Policy
from leverframe.release.levers.bounds import SetLimits, SetTenantQuota, tenant_quotas
from leverframe.release.rollout.routes import route_table

AT = {"environment": ENV, "endpoint": NAME, "owner_team": TEAM, "reason": "drill"}


def test_limits_change_what_is_named_and_keep_the_rest() -> None:
    rig = Rig()
    before = rig.generation()
    rig.write(ALICE, SetLimits(deadline_ms=50, per_second=200.0, burst=400.0, **AT))
    assert (rig.endpoint().deadline_ms, rig.endpoint().quota) == (50, Quota(per_second=200.0, burst=400.0))
    rig.write(ALICE, SetLimits(per_second=100.0, **AT))
    assert (rig.endpoint().deadline_ms, rig.endpoint().quota) == (50, Quota(per_second=100.0, burst=400.0))
    rig.write(ALICE, SetLimits(deadline_ms=0, per_second=0.0, **AT))
    assert (rig.endpoint().deadline_ms, rig.endpoint().quota) == (0, None)
    assert rig.generation() == before + 3


@pytest.mark.parametrize(
    "limits",
    [{"deadline_ms": -1}, {"deadline_ms": 600_001}, {"per_second": -1.0}, {"per_second": float("nan")}, {"burst": 10.0}, {"burst": 1e9}],
)
def test_a_limit_out_of_range_is_refused_and_changes_nothing(limits) -> None:
    rig = Rig()
    with pytest.raises(InvalidInput):
        rig.write(ALICE, SetLimits(**limits, **AT))
    assert rig.endpoint().quota is None


def test_a_tenants_quota_is_in_the_next_route_table_and_can_be_lifted() -> None:
    rig = Rig()
    before = route_table(rig.journal, ENV, (), 1)
    rig.write(ALICE, SetTenantQuota(environment=ENV, tenant="acme", per_second=5.0, reason="noisy"))
    table = route_table(rig.journal, ENV, (), 2)
    assert table.tenant_quotas == {"acme": Quota(per_second=5.0)}
    assert table.generation == before.generation + 1, "gateways take newer generations only"
    assert [(q.tenant, q.by, q.reason) for q in tenant_quotas(rig.journal, ENV)] == [("acme", "alice", "noisy")]
    rig.write(ALICE, SetTenantQuota(environment=ENV, tenant="acme", per_second=0.0, reason="calm again"))
    table = route_table(rig.journal, ENV, (), 3)
    assert (table.tenant_quotas, table.generation) == ({}, before.generation + 2)
    with pytest.raises(NotFound, match="no quota"):
        rig.write(ALICE, SetTenantQuota(environment=ENV, tenant="acme", per_second=0.0, reason="again"))


@pytest.mark.parametrize(
    "wrong", [{"tenant": ""}, {"tenant": "a/b"}, {"tenant": "a\n"}, {"per_second": -1.0}, {"reason": " "}, {"per_second": float("inf")}]
)
def test_a_quota_that_cannot_be_is_refused(wrong) -> None:
    rig = Rig()
    with pytest.raises(InvalidInput):
        rig.write(ALICE, SetTenantQuota(**{"environment": ENV, "tenant": "acme", "per_second": 1.0, "reason": "x", **wrong}))
    assert tenant_quotas(rig.journal, ENV) == []


@pytest.mark.parametrize("role", ["viewer", "engineer", "approver", "operator", "service"])
def test_only_admins_set_quotas_of_tenants(role) -> None:
    rig = Rig()
    rig.journal._policy = Policy()
    command = SetTenantQuota(environment=ENV, tenant="acme", per_second=5.0, reason="noisy")
    with pytest.raises(Forbidden):
        rig.write(Actor(subject="x", roles=(role,), teams=("*",)), command)
    rig.write(Actor(subject="root", roles=("admin",), teams=("*",)), command)
    assert len(tenant_quotas(rig.journal, ENV)) == 1
