"""Chapters 5 and 6: the first release, the stock client, and April lived through again."""

import time
from typing import Any

import numpy as np

from leverframe.apps.demo.project.prepare import moment_us
from leverframe.apps.demo.stage import ENDPOINT, Stage
from leverframe.apps.platform.views import PlanRequest, PlanView, ReleaseView
from leverframe.core.errors import Forbidden, Unavailable

ROUTE_TIMEOUT_S = 20.0


def plan_and_approve(stage: Stage, request: PlanRequest) -> PlanView:
    """Ana plans, is refused when she approves her own plan, and Ben approves exactly that plan."""
    ana, ben = stage.people["ana"], stage.people["ben"]
    plan = ana.release.plan(request)
    stage.timeline.say(f"plan {plan.plan['id']}: {request.version} by {request.strategy}; digest {plan.digest[:19]}…")
    try:
        ana.release.approve(plan.digest, "looks good to me")
        raise AssertionError("an author approved her own plan")
    except Forbidden as refusal:
        stage.timeline.bad(f"the author may not approve: {refusal.what[:110]}")
    approved = ben.release.approve(plan.digest, "evidence read")
    stage.timeline.good(f"approved by {', '.join(approved.approvals)}, bound to that digest")
    return approved


def wait_for_route(stage: Stage, version: str) -> float:
    """Seconds until the gateway runs the route the ledger wants.

    Raises
    ------
    Unavailable: it does not within 20 s.
    """
    started = time.perf_counter()
    while time.perf_counter() - started < ROUTE_TIMEOUT_S:
        view = next((v for v in stage.people["ana"].release.endpoints() if v.endpoint.name == ENDPOINT), None)
        if view is not None and view.generation_running is not None and view.generation_running >= view.generation_desired:
            return time.perf_counter() - started
        time.sleep(0.02)
    raise Unavailable("the gateway did not take the route", where=version, next_step="see logs/gateway.log")


def ask_with_tritonclient(stage: Stage) -> dict[str, Any]:
    """One prediction with NVIDIA's stock HTTP client, unchanged."""
    import tritonclient.http as triton

    client = triton.InferenceServerClient(f"{stage.settings.gateway_host}:{stage.settings.gateway_port}")
    headers = {"Authorization": f"Bearer {stage.service_token}"}
    values: dict[str, tuple[str, Any]] = {
        "origin": ("BYTES", np.array([["JFK"]], dtype=object)),
        "carrier": ("BYTES", np.array([["B6"]], dtype=object)),
        "tailnum": ("BYTES", np.array([["N516JB"]], dtype=object)),
        "dest": ("BYTES", np.array([["BOS"]], dtype=object)),
        "distance": ("FP64", np.array([[187.0]])),
        "sched_dep_s": ("INT64", np.array([[stage.clock.now_us() // 1_000_000 + 3600]])),
    }
    inputs = []
    for name, (datatype, array) in values.items():
        tensor = triton.InferInput(name, list(array.shape), datatype)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    try:
        ready = client.is_model_ready(ENDPOINT, headers=headers)
        result = client.infer(ENDPOINT, inputs, headers=headers)
    finally:
        client.close()
    return {
        "ready": ready,
        "probability": float(result.as_numpy("probability").ravel()[0]),
        "version": result.get_response()["model_version"],
    }


def tell(stage: Stage) -> None:
    """Release the first version and live through April."""
    with stage.timeline.chapter("Release: the exact plan approved by another person, then a signed route", "release"):
        request = PlanRequest(endpoint=ENDPOINT, version=f"{ENDPOINT}@v1", strategy="initial", note="first release")
        plan = plan_and_approve(stage, request)
        release = stage.people["ana"].release.apply(plan.digest)
        seconds = wait_for_route(stage, request.version)
        stage.timeline.good(f"{release.id} is {release.state}; the gateway verified the bundle and took the route after {seconds:.2f} s")
        answer = ask_with_tritonclient(stage)
        stage.timeline.good(f"tritonclient: {answer['version']} says {answer['probability']:.3f} for JetBlue from JFK to Boston in an hour")
    stage.figures["release"] = {
        "plan": plan.digest,
        "approvals": list(plan.approvals),
        "route_seconds": round(seconds, 3),
        "tritonclient": answer,
    }
    with stage.timeline.chapter("Replay April in event time, over real HTTP; labels come back when flights have landed", "april"):
        stage.prepare_replay(moment_us(6, 21))
        stage.figures["april"] = live(stage, "April", moment_us(5, 1))


def live(stage: Stage, label: str, until_us: int) -> dict[str, Any]:
    """Replay until ``until_us`` and check that the prediction log adds up."""
    started = time.perf_counter()
    event_from_us = stage.clock.now_us()
    progress = stage.live(label, until_us)
    seconds = time.perf_counter() - started
    speed = (stage.clock.now_us() - event_from_us) / 1e6 / seconds
    state = log_totals(stage)
    stage.timeline.good(
        f"{progress.answered:,} answers, {progress.failed} failed, {progress.labels:,} labels, {speed:,.0f} times real speed, "
        f"{progress.answered / seconds:,.0f} answers/s"
    )
    stage.timeline.good(f"prediction log: {state['served']:,} served = {state['logged']:,} logged + {state['dropped']:,} dropped")
    if progress.first_failure:
        stage.timeline.bad(f"first failure: {progress.first_failure}")
    return {
        "asked": progress.asked,
        "answered": progress.answered,
        "failed": progress.failed,
        "labels": progress.labels,
        "speed": round(speed),
        **state,
    }


def log_totals(stage: Stage) -> dict[str, Any]:
    """Served, logged and dropped, as the gateway counts them."""
    view = next(v for v in stage.people["ana"].release.endpoints() if v.endpoint.name == ENDPOINT)
    return {"served": view.served, "logged": view.logged, "dropped": view.dropped, "adds_up": view.served == view.logged + view.dropped}


def stage_log(stage: Stage, release: ReleaseView) -> list[dict[str, Any]]:
    """Print what happened in a release and return it as figures."""
    from leverframe.core.clock import iso_from_us

    told = []
    for entry in release.log:
        stage.timeline.say(f"{iso_from_us(entry.at_us)[:16]}  {entry.stage or '-':<12} {entry.event:<9} {entry.reason[:140]}")
        told.append({"at": iso_from_us(entry.at_us), "stage": entry.stage, "event": entry.event, "reason": entry.reason})
    return told


def release_now(stage: Stage, release_id: str) -> ReleaseView:
    """The release as it stands."""
    return stage.people["ana"].release.get(release_id)
