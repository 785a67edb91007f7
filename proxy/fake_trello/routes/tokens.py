"""Token and webhook routes: `/1/tokens`, `/1/webhooks`."""

from proxy.fake_trello import access, nested_resources
from proxy.fake_trello.auth import valid_token
from proxy.fake_trello.errors import (
    Refusal,
    invalid,
    not_found,
)
from proxy.fake_trello.field_selection import (
    MEMBER,
    WEBHOOK,
    view,
)
from proxy.fake_trello.ids import HEX24
from proxy.fake_trello.request import (
    Obj,
    Request,
    as_flag,
)
from proxy.fake_trello.routes.cards import (
    EMPTY_LIMITS,
    NULL_VALUE,
    field_value,
)
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State


def _token(state: State, request: Request) -> Obj:
    token = valid_token(state, request.ids[0])
    if token is None:
        raise Refusal(400, "invalid token")
    if request.requester.member_id != token["idMember"]:
        raise request.requester.refusal()
    return token


def _get(state: State, request: Request) -> Obj:
    token = _token(state, request)
    names = ("id", "identifier", "idMember", "dateCreated", "dateExpires", "permissions")
    out = {name: token[name] for name in names}
    if as_flag(request.params.get("webhooks")):
        out["webhooks"] = _webhooks_of(state, request, token)
    return out


def _member(state: State, request: Request) -> Obj:
    member = state.member(_token(state, request)["idMember"])
    return view(
        state, MEMBER, member, request.requester, nested_resources.fields_of(request, "fields")
    )


def _revoke(state: State, request: Request) -> Obj:
    revoke(state, _token(state, request))
    return NULL_VALUE


def revoke(state: State, token: Obj) -> None:
    """Delete a token and its webhooks."""
    del state.tokens[token["token"]]
    for webhook in state.webhooks.of(token["id"]):
        state.webhooks.drop(webhook)


def _webhooks_of(state: State, request: Request, token: Obj) -> list[Obj]:
    return [
        view(state, WEBHOOK, each, request.requester) for each in state.webhooks.of(token["id"])
    ]


def _webhooks(state: State, request: Request) -> list[Obj]:
    return _webhooks_of(state, request, _token(state, request))


def _create(state: State, request: Request) -> Obj:
    token = _token(state, request) if request.ids else _sent_token(state, request)
    model, url = request.text("idModel"), request.text("callbackURL")
    _check_model(state, request, model)
    if any(
        (w["idModel"], w["callbackURL"]) == (model, url) for w in state.webhooks.of(token["id"])
    ):
        raise Refusal(400, "A webhook with that callback, model, and token already exists")
    created = {
        "id": state.new_id(),
        "idToken": token["id"],
        "description": request.text("description"),
        "idModel": model,
        "callbackURL": url,
        "active": request.text("active", "true").lower() != "false",
        "consecutiveFailures": 0,
        "firstConsecutiveFailDate": None,
    }
    return view(state, WEBHOOK, state.webhooks.put(created), request.requester)


def _sent_token(state: State, request: Request) -> Obj:
    """The record of the request's own token."""
    token = valid_token(state, request.requester.token or "")
    if token is None:
        raise request.requester.refusal()
    return token


def _check_model(state: State, request: Request, model: str) -> None:
    if not HEX24.match(model):
        raise invalid("idModel")
    if model in state.boards:
        if not access.can_read(state, request.requester, state.boards[model]):
            raise request.requester.refusal()
    elif not (
        state.cards.find(model)
        or state.lists.find(model)
        or model in state.members
        or model in state.organizations
    ):
        raise invalid("idModel")


def _webhook(state: State, request: Request) -> Obj:
    token = state.webhooks.get(request.ids[-1])
    if _sent_token(state, request)["id"] != token["idToken"]:
        raise not_found()
    return token


def _get_webhook(state: State, request: Request) -> Obj:
    return view(state, WEBHOOK, _webhook(state, request), request.requester)


def _webhook_field(state: State, request: Request) -> object:
    path = f"/1/webhooks/{request.ids[0]}/{request.ids[1]}"
    name, request.ids = request.ids[1], request.ids[:1]
    return field_value(_get_webhook(state, request), name, path)


def _update_webhook(state: State, request: Request) -> Obj:
    token = _webhook(state, request)
    for name in ("description", "callbackURL", "idModel"):
        if name in request.params:
            token[name] = request.text(name)
    if "active" in request.params:
        token["active"] = request.flag("active")
    return view(state, WEBHOOK, token, request.requester)


def _delete_webhook(state: State, request: Request) -> Obj:
    state.webhooks.drop(_webhook(state, request))
    return EMPTY_LIMITS


TABLE: Table = {
    ("GET", "tokens/{token}"): _get,
    ("DELETE", "tokens/{token}"): _revoke,
    ("GET", "tokens/{token}/member"): _member,
    ("GET", "tokens/{token}/webhooks"): _webhooks,
    ("POST", "tokens/{token}/webhooks"): _create,
    ("GET", "tokens/{token}/webhooks/{webhook}"): _get_webhook,
    ("PUT", "tokens/{token}/webhooks/{webhook}"): _update_webhook,
    ("DELETE", "tokens/{token}/webhooks/{webhook}"): _delete_webhook,
    ("POST", "webhooks"): _create,
    ("GET", "webhooks/{webhook}"): _get_webhook,
    ("PUT", "webhooks/{webhook}"): _update_webhook,
    ("DELETE", "webhooks/{webhook}"): _delete_webhook,
    ("GET", "webhooks/{webhook}/{field}"): _webhook_field,
}

PROBED = frozenset({_create})
"""Routes that need a 200 for HEAD from the callback first."""
