"""Breaking the glass is allowed, and looked at afterwards by somebody else."""

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from leverframe.core.command import Command, Transaction
from leverframe.core.errors import Conflict, Forbidden, InvalidInput, NotFound
from leverframe.release.records import KIND_REVIEW, REASON_CHARS_MAX, Release, Review


class CloseReview(Command, frozen=True, kw_only=True):
    """Write down what was found about a release that was started by breaking the glass."""

    action: ClassVar[str] = "Release.Review"
    release: str
    finding: str
    owner_team: str = ""

    def resource(self) -> str:
        """``release/<id>``."""
        return f"release/{self.release}"

    def team(self) -> str:
        """The release's team."""
        return self.owner_team


def open_review(tx: Transaction, release: Release, reason: str) -> None:
    """Put the review that must follow."""
    tx.put(
        KIND_REVIEW,
        release.id,
        Review(release=release.id, team=release.team, opened_by=tx.actor.subject, reason=reason[:REASON_CHARS_MAX], opened_us=tx.now_us),
    )


def close_review(command: CloseReview, tx: Transaction) -> dict[str, str]:
    """Close it with a finding.

    Raises
    ------
    NotFound: no glass was broken for this release.    Conflict: it was reviewed already.    InvalidInput: no finding.
    Forbidden: by whoever broke the glass, or for another team.
    """
    review = tx.get(KIND_REVIEW, command.release, Review)
    if review is None:
        raise NotFound("no glass was broken for this release", where=command.release[:120], next_step="lever status")
    if review.team != command.owner_team:
        raise Forbidden("this belongs to another team", where=command.release, expected=review.team, got=command.owner_team or "no team")
    if not review.open:
        raise Conflict("this release was reviewed already", where=command.release, got=f"by {review.closed_by}")
    if not command.finding.strip():
        raise InvalidInput("a review is not closed without a finding", where="finding", next_step="--finding '...'")
    finding = command.finding[:REASON_CHARS_MAX]
    tx.put(KIND_REVIEW, command.release, msgspec.structs.replace(review, closed_by=tx.actor.subject, finding=finding, closed_us=tx.now_us))
    return {"release": command.release, "closed_by": tx.actor.subject}


def review_facts(command: CloseReview, tx: Transaction) -> Mapping[str, Any]:
    """Who broke the glass, and whether a person is asking."""
    review = tx.get(KIND_REVIEW, command.release, Review)
    return {"author": review.opened_by if review else "", "person": tx.actor.kind == "human"}
