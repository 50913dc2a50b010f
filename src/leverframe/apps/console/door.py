"""From a page or a form to an HTTP endpoint: the session, the permission, the form's token, the template."""

import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request

from leverframe.apps.console.session import COOKIE, Session, Sessions
from leverframe.apps.web.body import read_body
from leverframe.core.actor import Actor
from leverframe.core.clock import us_from_iso
from leverframe.core.digest import Digest, check_digest
from leverframe.core.errors import Forbidden, InvalidInput, Unauthenticated

if TYPE_CHECKING:
    from leverframe.apps.platform.platform import Platform

FORM_BYTES_MAX = 64 * 1024
FORM_FIELDS_MAX = 50
REASON_CHARS_MAX = 500


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One signed-in request: who, where, and (for a form) what was typed."""

    platform: "Platform"
    actor: Actor
    session: Session
    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    key: str

    def confirm(self, expected: str) -> None:
        """Let a consequential form pass only when the person typed the name of what it acts on.

        Raises
        ------
        InvalidInput: something else was typed.
        """
        typed = self.form.get("confirm", "").strip()
        if typed != expected:
            raise InvalidInput(
                "the typed confirmation does not match", where="confirm", expected=expected, got=typed[:80], next_step="go back"
            )

    def confirmed_digest(self) -> Digest:
        """The digest in the address, when the person typed the eight characters it begins with.

        Raises
        ------
        InvalidInput: it is no digest, or something else was typed.
        """
        digest = check_digest(self.path["digest"])
        self.confirm(digest.removeprefix("sha256:")[:8])
        return digest

    def reason(self) -> str:
        """Why, as typed.

        Raises
        ------
        InvalidInput: nothing, or too much.
        """
        typed = self.form.get("reason", "").strip()
        if not typed or len(typed) > REASON_CHARS_MAX:
            expected = f"1 to {REASON_CHARS_MAX} characters"
            raise InvalidInput("say why; the record keeps it", where="reason", expected=expected, next_step="go back")
        return typed

    def note(self) -> str:
        """What was typed beside a yes; may be nothing, and what is too long is cut."""
        return self.form.get("note", "")[:REASON_CHARS_MAX]

    def moment(self, name: str) -> int | None:
        """The moment named in the address, in microseconds; None when there is none.

        Raises
        ------
        InvalidInput: it cannot be read as one.
        """
        typed = self.query.get(name, "").strip()
        try:
            return us_from_iso(typed) if typed else None
        except ValueError as exc:
            raise InvalidInput("not a moment", where=name, expected="2013-05-01T12:00:00Z", got=typed[:40]) from exc


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page: its address, its permission, its template and what the template is given."""

    path: str
    permission: str
    template: str
    facts: Callable[[Visit], dict[str, Any]]
    resource: str = "platform/leverframe"


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """A form: its address, its permission, what it does; ``run`` returns the address to go to afterwards."""

    path: str
    permission: str
    run: Callable[[Visit], str]


def session_of(request: Request, sessions: Sessions) -> Session:
    """The session a browser holds.

    Raises
    ------
    Unauthenticated: none, or it is over.
    """
    session = sessions.find(request.cookies.get(COOKIE, ""))
    if session is None:
        raise Unauthenticated("sign in first", where=request.url.path, next_step="open /login")
    return session


def check_origin(request: Request) -> None:
    """Refuse a form that another site sends.

    Raises
    ------
    Forbidden: the browser says the request comes from elsewhere.
    """
    origin = request.headers.get("origin", "")
    foreign = bool(origin) and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    if foreign or request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Forbidden("this form was sent by another site", where="Origin", got=origin[:80])


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form.

    Raises
    ------
    InvalidInput: not a plain form, or too many fields.
    """
    if not request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        raise InvalidInput("not a form", where=request.url.path, expected="application/x-www-form-urlencoded")
    raw = await read_body(request, FORM_BYTES_MAX)
    try:
        return dict(parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX))
    except ValueError as exc:
        raise InvalidInput("the form cannot be read", where=request.url.path, got=str(exc)) from exc


def key_of(form: Mapping[str, str]) -> str:
    """The idempotency key drawn into a form, so that a double click acts once."""
    key = form.get("key", "")
    return key if key.isalnum() and len(key) <= 64 else uuid.uuid4().hex


def local_address(address: str) -> str:
    """``address`` if it stays on this site, else the overview.

    >>> local_address("/plans?x=1"), local_address("//evil.example"), local_address("https://evil.example")
    ('/plans?x=1', '/', '/')
    """
    parts = urlsplit(address)
    plain = address.startswith("/") and not address.startswith("//") and "\\" not in address and address.isprintable()
    return address if plain and not parts.scheme and not parts.netloc else "/"
