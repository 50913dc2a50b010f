"""Releases in line: planned, approved, and waiting for the one under way to end. First come, first served, a bounded number."""

from leverframe.core.command import Transaction
from leverframe.core.errors import Refused
from leverframe.release.plans.plan import ReleasePlan
from leverframe.release.records import KIND_QUEUE, Queue, Release, Waiting

QUEUE_MAX = 5
"""Releases of one endpoint that may wait; more are refused: each was approved against a world that moves on."""


def waiting(tx: Transaction, endpoint_id: str) -> tuple[Waiting, ...]:
    """The releases in line for ``<environment>/<endpoint>``, the first first."""
    queue = tx.get(KIND_QUEUE, endpoint_id, Queue)
    return queue.waiting if queue is not None else ()


def enqueue(tx: Transaction, plan: ReleasePlan) -> None:
    """Put the release of ``plan`` at the end of the line.

    Raises
    ------
    Refused: the line is full.
    """
    before = waiting(tx, plan.endpoint_id)
    if len(before) >= QUEUE_MAX:
        raise Refused(
            "too many releases wait for this endpoint",
            where=plan.endpoint_id,
            expected=f"at most {QUEUE_MAX} in line",
            got=", ".join(each.release for each in before),
            next_step=f"lever abort {plan.endpoint}, or abort one that waits: lever release abort {before[-1].release}",
        )
    last = Waiting(release=plan.id, plan=plan.digest, unattended=tx.actor.kind != "human")
    tx.put(KIND_QUEUE, plan.endpoint_id, Queue(waiting=(*before, last)))


def leave(tx: Transaction, release: Release) -> None:
    """Take ``release`` out of the line, if it is in it."""
    endpoint_id = f"{release.environment}/{release.endpoint}"
    before = waiting(tx, endpoint_id)
    left = tuple(each for each in before if each.release != release.id)
    if left:
        tx.put(KIND_QUEUE, endpoint_id, Queue(waiting=left))
    elif before:
        tx.delete(KIND_QUEUE, endpoint_id)
