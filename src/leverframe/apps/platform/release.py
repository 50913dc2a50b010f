"""Use cases of the release room: plans, approvals, releases, levers, history. Every route change is published before the answer."""

from difflib import get_close_matches
from typing import Any

import msgspec

from leverframe.apps.platform.forecasting import dependants_of, plan_forecast
from leverframe.apps.platform.known import known_endpoint, known_release, owning_team
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.plan_overrides import command_fields, read_overrides
from leverframe.apps.platform.requirements import APPROVALS_NEEDED, Requirements, sentences
from leverframe.apps.platform.resting import ancestry_words, resting_words
from leverframe.apps.platform.unknown import known
from leverframe.apps.platform.views import (
    EndpointView,
    FreezeView,
    IntervalPoint,
    LeverView,
    PlanRequest,
    PlanView,
    ReleaseView,
    StageLogEntry,
)
from leverframe.core.actor import Actor
from leverframe.core.command import Command
from leverframe.core.compatibility import incompatibilities
from leverframe.core.digest import Digest
from leverframe.core.errors import Fault, InvalidInput, NotFound, Refused
from leverframe.core.feature import FeatureView
from leverframe.core.model import SIGNATURE, ModelSpec, ModelVersion
from leverframe.core.route import Endpoint
from leverframe.core.schema import Signature
from leverframe.features.commands import KIND_VIEW
from leverframe.governance.bundles import open_bundle
from leverframe.release.approvals.approvals import freeze_at
from leverframe.release.approvals.reviews import CloseReview
from leverframe.release.levers.operate import (
    DisableFeature,
    EnableFeature,
    FreezeReleases,
    Kill,
    Pin,
    TimedLever,
    UnfreezeReleases,
    Unkill,
    Unpin,
)
from leverframe.release.planning.planning import ApplyPlan, ApprovePlan, PlanRelease, WithdrawApproval, get_version
from leverframe.release.plans.plan import KIND_PLAN, ReleasePlan
from leverframe.release.records import (
    KIND_APPROVAL,
    KIND_ENDPOINT,
    KIND_EVIDENCE,
    KIND_LEVER,
    KIND_MODEL,
    KIND_RELEASE,
    KIND_REVIEW,
    REASON_CHARS_MAX,
    Approval,
    EvidenceNote,
    Lever,
    Release,
    Review,
)
from leverframe.release.rollout.back import Rollback
from leverframe.release.rollout.rollout import AbortRelease, PauseRelease, ResumeRelease


class Releases:
    """From a version to a route, and back."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._requirements = Requirements(parts)

    # Plans -------------------------------------------------------------------------------------------------------

    def plan(self, actor: Actor, request: PlanRequest, *, key: str) -> PlanView:
        """Write a plan down; nothing runs yet."""
        version = get_version(self._parts.ledger, request.version)
        spec = self._parts.ledger.get(KIND_MODEL, version.model, ModelSpec)
        overrides = read_overrides(request.overrides)
        broken = self._incompatibilities(request, version)
        if broken and not overrides.major:
            raise Refused(
                "callers of this endpoint would break: " + "; ".join(f"{fault.where}: {fault.what}" for fault in broken)[:300],
                where=f"{request.environment}/{request.endpoint}",
                expected=broken[0].expected,
                got=broken[0].got,
                next_step="keep the old inputs and outputs, release to a new endpoint, or: lever release plan --major",
                faults=broken,
            )
        # What was accepted as breaking is part of what is approved: the note is under the plan's digest.
        note = "; ".join([*filter(None, [request.note]), *(f"major change, {fault.where}: {fault.what}" for fault in broken)])
        command = PlanRelease(
            environment=request.environment,
            endpoint=request.endpoint,
            version=request.version,
            owner_team=spec.team if spec is not None else "",
            strategy=request.strategy,
            hash_field=request.hash_field,
            note=note[:REASON_CHARS_MAX],
            **command_fields(overrides, request.strategy),
        )
        self._requirements.observe(version)
        receipt = self._parts.ledger.write(actor, command, key=key)
        return self.plan_of(str(receipt.result["plan"]))

    def _incompatibilities(self, request: PlanRequest, candidate: ModelVersion) -> tuple[Fault, ...]:
        """What today's callers of the endpoint would run into, by the gateway's own account of what they send."""
        parts = self._parts
        endpoint = parts.ledger.get(KIND_ENDPOINT, f"{request.environment}/{request.endpoint}", Endpoint)
        live = endpoint.live if endpoint is not None else None
        if live is None or live.bundle == candidate.bundle:
            return ()
        seen = parts.probe.state().forms.get(request.endpoint, ()) if request.environment == parts.settings.environment else ()
        return incompatibilities(self._signature(live.bundle, live.envelope), self._signature(candidate.bundle, candidate.envelope), seen)

    def _signature(self, bundle: Digest, envelope: Digest) -> Signature:
        opened = open_bundle(self._parts.artifacts, self._parts.trust, bundle, envelope)
        return msgspec.json.decode(opened.read(SIGNATURE), type=Signature)

    def plan_of(self, digest: str) -> PlanView:
        """One plan by its digest.

        Raises
        ------
        NotFound: no plan has this digest.
        """
        return self._plan_view(self._plan(digest))

    def plans(self) -> tuple[PlanView, ...]:
        """Plans that were not applied yet, newest first."""
        started = {release.plan for release in self._parts.ledger.find(KIND_RELEASE, Release)}
        plans = [plan for plan in self._parts.ledger.find(KIND_PLAN, ReleasePlan) if plan.digest not in started]
        return tuple(self._plan_view(plan, waiting=True) for plan in sorted(plans, key=lambda p: p.created_at_us, reverse=True))

    def approve(self, actor: Actor, digest: str, *, note: str, key: str) -> PlanView:
        """Approve exactly this plan."""
        plan = self._plan(digest)
        self._parts.ledger.write(actor, ApprovePlan(plan=digest, owner_team=plan.team, note=note), key=key)
        return self.plan_of(digest)

    def withdraw(self, actor: Actor, digest: str, note: str = "", *, key: str) -> PlanView:
        """Take one's own approval back."""
        plan = self._plan(digest)
        self._parts.ledger.write(actor, WithdrawApproval(plan=digest, owner_team=plan.team, note=note), key=key)
        return self.plan_of(digest)

    def apply(self, actor: Actor, digest: str, *, break_glass: str = "", key: str) -> ReleaseView:
        """Carry the plan out: set and publish the route of its first stage.

        ``break_glass`` is an operator's reason for not waiting for approvals or the end of a freeze; it opens a review.
        """
        plan = self._plan(digest)
        self._requirements.observe(get_version(self._parts.ledger, plan.candidate.version))
        receipt = self._write(actor, ApplyPlan(plan=digest, owner_team=plan.team, break_glass=break_glass), key)
        return self.release(str(receipt["release"]))

    def _plan(self, digest: str) -> ReleasePlan:
        plan = self._parts.ledger.get(KIND_PLAN, digest, ReleasePlan)
        if plan is None:
            raise NotFound("no plan has this digest", where=digest[:80], next_step="lever release list")
        return plan

    def _plan_view(self, plan: ReleasePlan, *, waiting: bool = False) -> PlanView:
        """A plan as it stands; of one among many that wait only what does not hold."""
        now_us = self._parts.clock.now_us()
        approvals = [
            a
            for a in self._parts.ledger.find(KIND_APPROVAL, Approval, prefix=f"{plan.digest}/")
            if not a.withdrawn and now_us < a.expires_us and a.approver != plan.author
        ]
        requirements = self._requirements.of(plan, unmet_only=waiting)
        return PlanView(
            digest=plan.digest,
            plan=msgspec.to_builtins(plan),
            approvals=tuple(a.approver for a in approvals),
            needed=APPROVALS_NEEDED.get(plan.risk_tier, 2),
            missing=sentences(requirements),
            requirements=requirements,
            forecast=plan_forecast(self._parts, plan),
            dependants=dependants_of(self._parts, plan),
            rests_on=ancestry_words(self._parts, plan),
        )

    # Releases ----------------------------------------------------------------------------------------------------

    def release(self, release_id: str) -> ReleaseView:
        """One release with its stage log and evidence.

        Raises
        ------
        NotFound: no such release.
        """
        found = known_release(self._parts.ledger, release_id)
        return msgspec.structs.replace(self._release_view(found), resting=resting_words(self._parts, found))

    def reviews(self) -> tuple[Review, ...]:
        """Releases started by breaking the glass, newest first."""
        return tuple(sorted(self._parts.ledger.find(KIND_REVIEW, Review), key=lambda review: review.opened_us, reverse=True))

    def review(self, actor: Actor, release_id: str, finding: str, *, key: str) -> Review:
        """Close the review of a release with what was found."""
        review = self._parts.ledger.get(KIND_REVIEW, release_id, Review)
        if review is None:
            raise NotFound("no glass was broken for this release", where=release_id[:120], next_step="lever status")
        self._parts.ledger.write(actor, CloseReview(release=release_id, finding=finding, owner_team=review.team), key=key)
        return next(each for each in self.reviews() if each.release == release_id)

    def releases(self, endpoint: str = "") -> tuple[ReleaseView, ...]:
        """Releases of an endpoint (empty: of all), newest first."""
        found = [r for r in self._parts.ledger.find(KIND_RELEASE, Release) if endpoint in ("", r.endpoint)]
        return tuple(self._release_view(r) for r in sorted(found, key=lambda r: (r.started_us, r.id), reverse=True))

    def _release_view(self, release: Release) -> ReleaseView:
        notes = self._parts.ledger.find(KIND_EVIDENCE, EvidenceNote, prefix=f"{release.id}/")
        newest = max(notes, key=lambda note: note.at_us, default=None)
        log = tuple(
            StageLogEntry(at_us=entry.at_us, stage=entry.stage, event=entry.event, reason=entry.reason, verdicts=entry.verdicts)
            for entry in release.log
        )
        last = release.log[-1] if release.log else None
        return ReleaseView(
            id=release.id,
            endpoint=release.endpoint,
            environment=release.environment,
            candidate=release.candidate,
            champion=release.champion,
            state=release.state,
            stage=last.stage if last else "",
            weight=last.weight if last else 0.0,
            plan_digest=release.plan,
            author=release.author,
            started_at_us=release.started_us,
            ended_at_us=release.ended_us,
            outcome="" if release.active or release.state == "planned" else release.state,
            log=log,
            verdicts=newest.verdicts if newest else (),
            intervals=tuple(
                IntervalPoint(
                    rule=p.rule,
                    stage=p.stage,
                    at_us=p.at_us,
                    n=p.n,
                    estimate=known(p.estimate),
                    low=known(p.low),
                    high=known(p.high),
                    margin=p.margin,
                )
                for note in notes
                for p in note.paths
            ),
            answers_by_candidate=sum(note.counts.answers_by_candidate for note in notes),
            labels_joined=sum(note.counts.outcomes for note in notes),
            flagged=release.flagged or "",
            summary=newest.reason if newest is not None and release.active else (last.reason if last else ""),
        )

    # Endpoints and levers ------------------------------------------------------------------------------------------

    def endpoints(self) -> tuple[EndpointView, ...]:
        """Every endpoint of this environment: what is wanted, what is published, what the gateway runs."""
        parts = self._parts
        running = parts.probe.state()
        generation = parts.publisher.desired().generation
        levers = parts.ledger.find(KIND_LEVER, Lever, prefix=f"{parts.settings.environment}/")
        return tuple(
            EndpointView(
                environment=parts.settings.environment,
                endpoint=endpoint,
                release=endpoint.release,
                generation_desired=generation,
                generation_running=running.generation,
                gateway=running.sentence,
                served=running.served,
                logged=running.logged,
                dropped=running.dropped,
                freeze=self._freeze(endpoint.name),
                levers=tuple(
                    LeverView(
                        lever=pulled.lever,
                        argument=pulled.argument,
                        reason=pulled.reason,
                        by=pulled.by,
                        at_us=pulled.at_us,
                        expires_us=pulled.expires_us,
                    )
                    for pulled in levers
                    if pulled.endpoint == endpoint.name
                ),
            )
            for endpoint in parts.ledger.find(KIND_ENDPOINT, Endpoint, prefix=f"{parts.settings.environment}/")
        )

    def _freeze(self, endpoint: str) -> FreezeView | None:
        found = freeze_at(self._parts.ledger, self._parts.settings.environment, endpoint, self._parts.clock.now_us())
        if found is None:
            return None
        return FreezeView(endpoint=found.endpoint, reason=found.reason, by=found.by, at_us=found.at_us, expires_us=found.expires_us)

    def endpoint_view(self, environment: str, endpoint: str) -> EndpointView:
        """One endpoint of this environment.

        Raises
        ------
        NotFound: no such endpoint.
        """
        found = next((view for view in self.endpoints() if view.environment == environment and view.endpoint.name == endpoint), None)
        if found is None:
            raise NotFound("no such endpoint", where=f"{environment}/{endpoint}", next_step="lever status")
        return found

    def rollback(self, actor: Actor, environment: str, endpoint: str, *, reason: str, key: str) -> EndpointView:
        """One route write back to the last good version, published at once."""
        command = Rollback(environment=environment, endpoint=endpoint, reason=reason, owner_team=self.team_of(environment, endpoint))
        self._write(actor, command, key)
        return self.endpoint_view(environment, endpoint)

    def operate(
        self, actor: Actor, environment: str, endpoint: str, lever: str, *, argument: str, reason: str, key: str, for_us: int = 0
    ) -> EndpointView:
        """Pull one of the operator's levers, for some time (0: until somebody puts it back).

        Raises
        ------
        InvalidInput: there is no such lever, or its argument cannot be read.    NotFound: no such endpoint, or no such feature to disable.
        """
        if lever == "disable-feature":
            self._require_feature(argument)
        where = {"environment": environment, "endpoint": endpoint, "reason": reason, "owner_team": self.team_of(environment, endpoint)}
        self._write(actor, self._lever(lever, argument, where, for_us), key)
        return self.endpoint_view(environment, endpoint)

    def _require_feature(self, pattern: str) -> None:
        """Refuse a pattern that names nothing: a lever pulled on a misspelt feature would change nothing and say "done"."""
        view, _, feature = pattern.partition(".")
        views = {declared.name: declared.features for declared in self._parts.ledger.find(KIND_VIEW, FeatureView)}
        if (feature != "*" and feature not in views.get(view, ())) or view not in views:
            known = [f"{name}.*" for name in views] if view not in views else [f"{view}.{name}" for name in views[view]]
            closest = ", ".join(get_close_matches(pattern, known, n=3)) or ", ".join(known)
            raise NotFound("no such feature", where=pattern[:120] or "argument", expected=closest, next_step="lever features list")

    def _lever(self, lever: str, argument: str, where: dict[str, Any], for_us: int) -> Command:
        plain: dict[str, type[Command]] = {
            "pin": Pin,
            "unpin": Unpin,
            "kill": Kill,
            "unkill": Unkill,
            "freeze": FreezeReleases,
            "unfreeze": UnfreezeReleases,
        }
        on_release: dict[str, type[Command]] = {"abort": AbortRelease, "pause": PauseRelease, "resume": ResumeRelease}
        on_feature: dict[str, type[Command]] = {"disable-feature": DisableFeature, "enable-feature": EnableFeature}
        kind = {**plain, **on_feature}.get(lever)
        if kind is not None and issubclass(kind, TimedLever):
            where = {**where, "for_us": for_us}
        elif for_us:
            raise InvalidInput("this lever does not put itself back", where="for_us", expected="0", got=lever[:40])
        if lever in on_feature:
            return on_feature[lever](feature=argument, **where)
        if kind is not None:
            return kind(**where)
        if lever in on_release:
            release = argument or known_endpoint(self._parts.ledger, where["environment"], where["endpoint"]).release
            return on_release[lever](release=release, reason=where["reason"], owner_team=where["owner_team"])
        known = ", ".join((*plain, *on_feature, *on_release))
        raise InvalidInput("no such lever", where=lever[:40], expected=known)

    def team_of(self, environment: str, endpoint: str) -> str:
        """The team that owns the endpoint.

        Raises
        ------
        NotFound: no such endpoint.
        """
        return owning_team(self._parts.ledger, known_endpoint(self._parts.ledger, environment, endpoint))

    def _write(self, actor: Actor, command: Command, key: str) -> dict[str, Any]:
        receipt = self._parts.ledger.write(actor, command, key=key)
        self._parts.publisher.publish()
        return receipt.result if isinstance(receipt.result, dict) else {}
