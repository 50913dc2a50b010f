"""The page of webhooks: who is told of what, and what could not be delivered."""

from typing import Any

from leverframe.apps.console.door import Page, Visit


def webhooks(visit: Visit) -> dict[str, Any]:
    """Every webhook with its newest dead letters."""
    return {"webhooks": visit.platform.webhooks.webhooks()}


PAGES: tuple[Page, ...] = (Page(path="/webhooks", permission="Webhooks.Read", template="webhooks.html", facts=webhooks),)
