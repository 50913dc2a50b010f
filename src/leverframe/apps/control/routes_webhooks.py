"""Routes of webhooks."""

from typing import Any

from leverframe.apps.control.route import Route
from leverframe.apps.platform.views import WebhookRequest, WebhookView

ROUTES: tuple[Route, ...] = (
    Route(
        method="GET",
        path="/api/v1/webhooks",
        permission="Webhooks.Read",
        run=lambda call: call.platform.webhooks.webhooks(),
        gives=tuple[WebhookView, ...],
        summary="Every webhook, how its deliveries go, and its dead letters",
    ),
    Route(
        method="POST",
        path="/api/v1/webhooks",
        permission="Webhooks.Manage",
        run=lambda call: call.platform.webhooks.add(call.actor, call.body, key=call.key),
        takes=WebhookRequest,
        gives=WebhookView,
        example={"name": "ops-chat", "url": "https://hooks.example.com/leverframe", "types": ["release.*", "alert.*"]},
        summary="Tell an address (of a host that the operator listed) of what happens from now on",
    ),
    Route(
        method="DELETE",
        path="/api/v1/webhooks/{webhook}",
        permission="Webhooks.Manage",
        run=lambda call: call.platform.webhooks.remove(call.actor, call.path["webhook"], key=call.key),
        gives=dict[str, Any],
        summary="Tell nobody there any more; what waits is dropped",
    ),
    Route(
        method="POST",
        path="/api/v1/webhooks/{webhook}/retry",
        permission="Webhooks.Manage",
        run=lambda call: call.platform.webhooks.retry(call.actor, call.path["webhook"], key=call.key),
        gives=dict[str, Any],
        summary="Try the dead letters of a webhook again",
    ),
)
