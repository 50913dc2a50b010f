"""Verbs that work where they are asked, on the installation of this machine: who asks them."""

from leverframe.apps.clocks import SystemClock
from leverframe.apps.settings import Settings
from leverframe.core.actor import Actor
from leverframe.core.errors import Unauthenticated
from leverframe.governance.identity import authenticate
from leverframe.governance.ledger.store import Ledger


def actor_here(settings: Settings, ledger: Ledger, bearer: str) -> Actor:
    """Whom the token speaks for; tokens live by the machine's clock.

    Raises
    ------
    Unauthenticated: nobody, as far as the installation here knows; it may be another than the one that was signed in to.
    """
    try:
        return authenticate(ledger, bearer, now_us=SystemClock().now_us())
    except Unauthenticated as error:
        raise Unauthenticated(
            f"the installation on this machine does not accept your token: {error.what}",
            where=str(settings.home),
            next_step="ask on the machine, and with the LEVER_HOME, of the control plane that you signed in to",
        ) from error
