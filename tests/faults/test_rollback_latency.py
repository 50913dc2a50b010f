"""P10, the command's half: a rollback asked of the control API is seen by the gateway in under a second, and fails nobody's request."""

import os
import signal
import time

from tests.whole_program import ENDPOINT, ENVIRONMENT, Traffic, WholeProgram

FLIPS = 10
VISIBLE_S_MAX = 1.0


def test_p10_a_rollback_by_command_is_seen_within_a_second_and_drops_nothing(running: WholeProgram):
    ana, olga = running.person("ana"), running.person("olga")
    champion = ana.release.endpoints()[0].endpoint.live.version
    candidate = "flight-delay@v2" if champion == "flight-delay@v1" else "flight-delay@v1"
    forward_s, back_s = [], []
    with Traffic(running, seed=4, pause_s=0.005) as traffic:
        for _ in range(FLIPS):
            # A day's watch: the release is at 100 % and still being watched when it is taken back.
            digest = running.approved_plan(candidate, overrides={"watch_us": 100 * 86_400_000_000})
            started = time.monotonic()
            release = ana.release.apply(digest)
            page = running.wait_generation(ana.release.endpoints()[0].generation_desired)
            forward_s.append(time.monotonic() - started)
            assert (release.state, _live(page)) == ("watching", candidate)
            time.sleep(0.05)
            started = time.monotonic()
            wanted = olga.release.rollback(ENVIRONMENT, ENDPOINT, "trying the lever").generation_desired
            page = running.wait_generation(wanted)
            back_s.append(time.monotonic() - started)
            assert _live(page) == champion, "the gateway has the route of the rollback and another version live"
            assert ana.release.get(release.id).state == "rolled_back"
        time.sleep(0.2)
    print(
        f"rollback seen after {max(back_s):.3f} s at most, {sorted(back_s)[FLIPS // 2]:.3f} s median; apply {max(forward_s):.3f} s at most"
    )
    assert max(back_s) < VISIBLE_S_MAX, back_s
    assert (traffic.failed, traffic.refused) == (0, []), "a flip failed somebody's request"
    assert {champion, candidate} == set(traffic.answered.values()), "the load never met the version that was taken back"
    log = running.page()["log"]
    assert log["served"] == log["logged"] + log["dropped"]


def test_p10_negative_control_a_gateway_that_does_not_look_is_late(running: WholeProgram):
    ana, olga = running.person("ana"), running.person("olga")
    champion = ana.release.endpoints()[0].endpoint.live.version
    candidate = "flight-delay@v2" if champion == "flight-delay@v1" else "flight-delay@v1"
    ana.release.apply(running.approved_plan(candidate, overrides={"watch_us": 100 * 86_400_000_000}))
    running.wait_generation(ana.release.endpoints()[0].generation_desired)
    os.kill(running.pid("gateway"), signal.SIGSTOP)
    try:
        started = time.monotonic()
        view = olga.release.rollback(ENVIRONMENT, ENDPOINT, "trying the lever")
        assert view.generation_running is None, "a gateway that is stopped is said to run a route"
        time.sleep(max(0.0, started + VISIBLE_S_MAX - time.monotonic()))
    finally:
        os.kill(running.pid("gateway"), signal.SIGCONT)
    running.wait_generation(view.generation_desired)
    assert time.monotonic() - started > VISIBLE_S_MAX, "the measurement cannot tell a gateway that looks from one that does not"


def _live(page: dict) -> str:
    (endpoint,) = page["endpoints"]
    return next(arm["version"] for arm in endpoint["arms"] if arm["role"] == "live")
