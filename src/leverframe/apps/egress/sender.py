"""Delivers what is due: in order a channel, again after growing pauses, and as a dead letter when all of them were in vain."""

from leverframe.apps.egress.client import Egress
from leverframe.apps.egress.outbox import Outbox, Waiting
from leverframe.core.clock import SECOND_US
from leverframe.core.errors import LeverframeError

ATTEMPTS_MAX = 14
"""Attempts over about six hours; then a person has to say that it is worth another try."""
PAUSE_S_FIRST, PAUSE_S_MAX = 1, 3_600
DELIVERIES_MAX = 200
"""Messages of one look, so that the look ends and newly queued channels get their turn."""


def pause_s(attempts: int) -> int:
    """Seconds until the next attempt after so many in vain.

    >>> [pause_s(n) for n in (1, 2, 5, 13)]
    [1, 2, 16, 3600]
    """
    return int(min(PAUSE_S_FIRST * 2 ** (attempts - 1), PAUSE_S_MAX))


class Sender:
    """Empties an outbox through an egress client."""

    def __init__(self, outbox: Outbox, egress: Egress) -> None:
        self._outbox = outbox
        self._egress = egress

    def look(self, now_us: int) -> int:
        """Send what is due at ``now_us``; how many were accepted."""
        accepted = 0
        for _ in range(DELIVERIES_MAX):
            due = self._outbox.due(now_us)
            if not due:
                break
            accepted += sum(self._deliver(waiting, now_us) for waiting in due)
        return accepted

    def _deliver(self, waiting: Waiting, now_us: int) -> bool:
        message = waiting.message
        attempts = waiting.attempts + 1
        pause = pause_s(attempts)
        final = attempts >= ATTEMPTS_MAX
        try:
            answer = self._egress.post(message.url, message.id, message.body, message.content_type)
        except LeverframeError as error:
            # A host that was taken off the list is no reason to try for hours.
            final = final or error.code in ("forbidden", "invalid_input", "limit_exceeded")
            said = error.sentence()
        else:
            if answer.taken:
                self._outbox.accepted(waiting.place)
                return True
            said = f"HTTP {answer.status}"
            final = final or answer.gone
            pause = max(pause, answer.retry_after_s)
        if final:
            self._outbox.bury(waiting.place, now_us, said)
        else:
            self._outbox.postpone(waiting.place, now_us + pause * SECOND_US, said)
        return False
