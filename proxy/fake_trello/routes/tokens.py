"""/1/tokens and /1/webhooks. The token in the path speaks for itself; the header's must be good."""

from proxy.fake_trello import access, nested_resources
from proxy.fake_trello.auth import valid
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
    LIMITS,
    NOTHING,
    field_value,
)
from proxy.fake_trello.routing import Table
from proxy.fake_trello.state import State


def _token(state: State, call: Request) -> Obj:
    found = valid(state, call.ids[0])
    if found is None:
        raise Refusal(400, "invalid token")
    if call.asker.member_id != found["idMember"]:
        raise call.asker.refuse()
    return found


def _get(state: State, call: Request) -> Obj:
    found = _token(state, call)
    shown = ("id", "identifier", "idMember", "dateCreated", "dateExpires", "permissions")
    out = {name: found[name] for name in shown}
    if as_flag(call.params.get("webhooks")):
        out["webhooks"] = _webhooks_of(state, call, found)
    return out


def _member(state: State, call: Request) -> Obj:
    member = state.member(_token(state, call)["idMember"])
    return view(state, MEMBER, member, call.asker, nested_resources.fields_of(call, "fields"))


def _revoke(state: State, call: Request) -> Obj:
    revoke(state, _token(state, call))
    return NOTHING


def revoke(state: State, token: Obj) -> None:
    """A token dies, and its webhooks with it."""
    del state.tokens[token["token"]]
    for webhook in state.webhooks.of(token["id"]):
        state.webhooks.drop(webhook)


def _webhooks_of(state: State, call: Request, token: Obj) -> list[Obj]:
    return [view(state, WEBHOOK, each, call.asker) for each in state.webhooks.of(token["id"])]


def _webhooks(state: State, call: Request) -> list[Obj]:
    return _webhooks_of(state, call, _token(state, call))


def _create(state: State, call: Request) -> Obj:
    token = _token(state, call) if call.ids else _shown(state, call)
    model, url = call.text("idModel"), call.text("callbackURL")
    _check_model(state, call, model)
    if any(
        (w["idModel"], w["callbackURL"]) == (model, url) for w in state.webhooks.of(token["id"])
    ):
        raise Refusal(400, "A webhook with that callback, model, and token already exists")
    made = {
        "id": state.new_id(),
        "idToken": token["id"],
        "description": call.text("description"),
        "idModel": model,
        "callbackURL": url,
        "active": call.text("active", "true").lower() != "false",
        "consecutiveFailures": 0,
        "firstConsecutiveFailDate": None,
    }
    return view(state, WEBHOOK, state.webhooks.put(made), call.asker)


def _shown(state: State, call: Request) -> Obj:
    """The record of the token that the call itself showed."""
    token = valid(state, call.asker.token or "")
    if token is None:
        raise call.asker.refuse()
    return token


def _check_model(state: State, call: Request, model: str) -> None:
    if not HEX24.match(model):
        raise invalid("idModel")
    if model in state.boards:
        if not access.sees(state, call.asker, state.boards[model]):
            raise call.asker.refuse()
    elif not (
        state.cards.find(model)
        or state.lists.find(model)
        or model in state.members
        or model in state.organizations
    ):
        raise invalid("idModel")


def _webhook(state: State, call: Request) -> Obj:
    found = state.webhooks.get(call.ids[-1])
    if _shown(state, call)["id"] != found["idToken"]:
        raise not_found()
    return found


def _get_webhook(state: State, call: Request) -> Obj:
    return view(state, WEBHOOK, _webhook(state, call), call.asker)


def _webhook_field(state: State, call: Request) -> object:
    path = f"/1/webhooks/{call.ids[0]}/{call.ids[1]}"
    name, call.ids = call.ids[1], call.ids[:1]
    return field_value(_get_webhook(state, call), name, path)


def _update_webhook(state: State, call: Request) -> Obj:
    found = _webhook(state, call)
    for name in ("description", "callbackURL", "idModel"):
        if name in call.params:
            found[name] = call.text(name)
    if "active" in call.params:
        found["active"] = call.flag("active")
    return view(state, WEBHOOK, found, call.asker)


def _delete_webhook(state: State, call: Request) -> Obj:
    state.webhooks.drop(_webhook(state, call))
    return LIMITS


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
"""The routes before which the callback must answer HEAD with 200."""
