"""Every command of the room, bound to the function that carries it out and to the facts its policy decides on."""

from leverframe.core.command import Handles
from leverframe.release.approvals import reviews
from leverframe.release.approvals.reviews import CloseReview
from leverframe.release.experiments.commands import HANDLERS as EXPERIMENTS
from leverframe.release.levers import bounds, corrections, operate
from leverframe.release.levers.bounds import SetLimits, SetTenantQuota
from leverframe.release.levers.corrections import CorrectHistory
from leverframe.release.levers.operate import (
    DisableFeature,
    EnableFeature,
    ExpireLever,
    FreezeReleases,
    Kill,
    Pin,
    SetFallback,
    UnfreezeReleases,
    Unkill,
    Unpin,
)
from leverframe.release.planning import advancing, applying, calm, declaring, planning
from leverframe.release.planning.applying import DropQueued, StartQueued
from leverframe.release.planning.calm import LiftRollbackLimit
from leverframe.release.planning.declaring import DeclareTeamRules
from leverframe.release.planning.planning import ApplyPlan, ApprovePlan, PlanRelease, WithdrawApproval
from leverframe.release.requirements import exceptions, observed
from leverframe.release.requirements.exceptions import GrantException, WithdrawException
from leverframe.release.requirements.observed import ObserveBundle
from leverframe.release.rollout import back, rollout
from leverframe.release.rollout.back import KeepRelease, Rollback
from leverframe.release.rollout.rollout import (
    AbortRelease,
    AdvanceRelease,
    CompleteRelease,
    HoldRelease,
    NoteEvidence,
    PauseRelease,
    ResumeRelease,
)
from leverframe.release.tables.commands import HANDLERS as TABLES

HANDLERS: tuple[Handles, ...] = (
    Handles(command=PlanRelease, run=planning.plan_release),
    Handles(command=ApprovePlan, run=planning.approve_plan, facts=planning.plan_facts),
    Handles(command=WithdrawApproval, run=planning.withdraw_approval, facts=planning.plan_facts),
    Handles(command=ApplyPlan, run=applying.apply_plan, facts=planning.plan_facts),
    Handles(command=StartQueued, run=applying.start_queued, facts=applying.queued_facts),
    Handles(command=DropQueued, run=applying.drop_queued),
    Handles(command=DeclareTeamRules, run=declaring.declare_team_rules),
    Handles(command=LiftRollbackLimit, run=calm.lift_rollback_limit),
    Handles(command=ObserveBundle, run=observed.observe_bundle),
    Handles(command=GrantException, run=exceptions.grant_exception, facts=exceptions.exception_facts),
    Handles(command=WithdrawException, run=exceptions.withdraw_exception, facts=exceptions.exception_facts),
    Handles(command=CloseReview, run=reviews.close_review, facts=reviews.review_facts),
    Handles(command=AdvanceRelease, run=rollout.advance_release, facts=advancing.advance_facts),
    Handles(command=HoldRelease, run=rollout.hold_release),
    Handles(command=NoteEvidence, run=rollout.note_evidence),
    Handles(command=CompleteRelease, run=rollout.complete_release),
    Handles(command=PauseRelease, run=rollout.pause_release),
    Handles(command=ResumeRelease, run=rollout.resume_release),
    Handles(command=AbortRelease, run=rollout.abort_release),
    Handles(command=Rollback, run=back.rollback),
    Handles(command=KeepRelease, run=back.keep_release),
    Handles(command=CorrectHistory, run=corrections.correct_history),
    *EXPERIMENTS,
    *TABLES,
    Handles(command=Pin, run=operate.pin),
    Handles(command=Unpin, run=operate.unpin),
    Handles(command=Kill, run=operate.kill),
    Handles(command=Unkill, run=operate.unkill),
    Handles(command=SetFallback, run=operate.set_fallback),
    Handles(command=SetLimits, run=bounds.set_limits),
    Handles(command=SetTenantQuota, run=bounds.set_tenant_quota),
    Handles(command=DisableFeature, run=operate.disable_feature),
    Handles(command=EnableFeature, run=operate.enable_feature),
    Handles(command=ExpireLever, run=operate.expire_lever),
    Handles(command=FreezeReleases, run=operate.freeze_releases),
    Handles(command=UnfreezeReleases, run=operate.unfreeze_releases),
)

__all__ = [
    "AbortRelease",
    "AdvanceRelease",
    "ApplyPlan",
    "CloseReview",
    "ApprovePlan",
    "CompleteRelease",
    "CorrectHistory",
    "DeclareTeamRules",
    "DisableFeature",
    "DropQueued",
    "EnableFeature",
    "ExpireLever",
    "FreezeReleases",
    "GrantException",
    "HANDLERS",
    "HoldRelease",
    "KeepRelease",
    "Kill",
    "LiftRollbackLimit",
    "NoteEvidence",
    "ObserveBundle",
    "PauseRelease",
    "Pin",
    "PlanRelease",
    "ResumeRelease",
    "Rollback",
    "SetFallback",
    "SetLimits",
    "SetTenantQuota",
    "StartQueued",
    "UnfreezeReleases",
    "Unkill",
    "Unpin",
    "WithdrawApproval",
    "WithdrawException",
]
