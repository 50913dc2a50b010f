"""Use cases of webhooks: who is told of what happens, and whether it arrives."""

import msgspec

from leverframe.apps.egress.destination import check_allowed, parse_allowed, parse_destination
from leverframe.apps.egress.outbox import Outbox, Standing, Waiting
from leverframe.apps.platform.parts import Parts
from leverframe.apps.platform.views import DeadLetter, WebhookRequest, WebhookView
from leverframe.apps.webhooks import channel_of
from leverframe.core.actor import Actor
from leverframe.core.errors import InvalidInput, NotFound
from leverframe.governance.decision import require
from leverframe.governance.webhooks import KIND_WEBHOOK, AddWebhook, RemoveWebhook, RetryWebhook, Webhook

LETTERS_MAX = 50


class Webhooks:
    """Adds, removes and lists webhooks; the worker delivers."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def add(self, actor: Actor, request: WebhookRequest, *, key: str) -> WebhookView:
        """Tell an address of what happens from now on.

        Raises
        ------
        Forbidden: policy does not permit it, or the operator's list does not name the host.    InvalidInput: not an address.
        """
        # Policy first: who may not add one learns nothing of the operator's list.
        require(self._parts.policy, actor, AddWebhook.action, f"webhook/{request.name}"[:200], "", {})
        check_allowed(parse_destination(request.url), parse_allowed(self._parts.settings.egress_hosts))
        self._parts.ledger.write(actor, AddWebhook(name=request.name, url=request.url, types=request.types), key=key)
        return self.webhook(request.name)

    def remove(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        """Tell nobody there any more."""
        return dict(self._parts.ledger.write(actor, RemoveWebhook(name=name), key=key).result)

    def retry(self, actor: Actor, name: str, *, key: str) -> dict[str, object]:
        """Try dead letters again."""
        return dict(self._parts.ledger.write(actor, RetryWebhook(name=name), key=key).result)

    def webhooks(self) -> tuple[WebhookView, ...]:
        """Every webhook, with its newest dead letters."""
        return tuple(self._view(hook) for hook in self._parts.ledger.find(KIND_WEBHOOK, Webhook))

    def webhook(self, name: str) -> WebhookView:
        """One webhook.

        Raises
        ------
        NotFound: there is none of this name.
        """
        hook = self._parts.ledger.get(KIND_WEBHOOK, name, Webhook)
        if hook is None:
            raise NotFound("no such webhook", where=name[:80], next_step="lever webhooks list")
        return self._view(hook)

    def _view(self, hook: Webhook) -> WebhookView:
        standing, letters = self._standing(channel_of(hook.name))
        return WebhookView(
            name=hook.name,
            host=_host(hook.url),
            types=hook.types,
            by=hook.by,
            at_us=hook.at_us,
            read_seq=standing.seq,
            behind=max(0, self._parts.ledger.entries_total() - standing.seq) if standing.seq else 0,
            waiting=standing.waiting,
            dead=standing.dead,
            said=standing.said,
            letters=tuple(_letter(waiting) for waiting in letters),
        )

    def _standing(self, channel: str) -> tuple[Standing, tuple[Waiting, ...]]:
        """What the worker's outbox says; nothing, where no worker of this home has delivered anything yet."""
        path = self._parts.settings.outbox_file
        if not path.exists():
            return Standing(), ()
        outbox = Outbox(path)
        try:
            return outbox.standing(channel), outbox.dead(channel, LETTERS_MAX)
        finally:
            outbox.close()


def _host(url: str) -> str:
    try:
        return parse_destination(url).shown
    except InvalidInput:
        return "not an address"


def _letter(waiting: Waiting) -> DeadLetter:
    try:
        type = str(msgspec.json.decode(waiting.message.body)["type"])
    except (msgspec.DecodeError, KeyError, TypeError):
        type = waiting.message.content_type
    return DeadLetter(id=waiting.message.id, type=type, queued_us=waiting.queued_us, attempts=waiting.attempts, said=waiting.said)
