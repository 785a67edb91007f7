"""Webhook API: the proxy's webhooks at Trello, and the next step to the wanted ones."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from proxy.http_semantics.json_members import array_of
from proxy.model import is_id
from proxy.trello.object_ids import JsonIds


@dataclass(frozen=True, slots=True)
class Webhook:
    """One of the proxy's webhooks, as listed by Trello."""

    id: str
    model: str
    active: bool


@dataclass(frozen=True, slots=True)
class Create:
    """Create the webhook of a board."""

    model: str


@dataclass(frozen=True, slots=True)
class Repair:
    """Activate a webhook that Trello has deactivated."""

    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the webhook of a board that is not in use."""

    webhook: Webhook


Step = Create | Repair | Remove


def webhooks_in(body: bytes, callback_url: str) -> tuple[Webhook, ...] | None:
    """The webhooks with exactly our callback, from a list of a token's; None: not a list."""
    listed = array_of(body)
    if listed is None:
        return None
    return tuple(
        Webhook(each["id"], each["idModel"], each.get("active") is True)
        for each in listed
        if isinstance(each, dict)
        and each.get("callbackURL") == callback_url
        and is_id(each.get("id"))
        and is_id(each.get("idModel"))
    )


def reconcile(webhooks: Sequence[Webhook], wanted: Collection[str]) -> Step | None:
    """The next step; None if the webhooks are those wanted.

    An inactive webhook precedes a missing one, since deliveries of its board are expected.
    """
    for each in webhooks:
        if each.model in wanted and not each.active:
            return Repair(each)
    there = {each.model for each in webhooks}
    for board in wanted:
        if board not in there:
            return Create(board)
    for each in webhooks:
        if each.model not in wanted:
            return Remove(each)
    return None


class WebhookResult(StrEnum):
    """Result of a step."""

    DONE = "done"
    UNREACHABLE = "unreachable"
    """Trello probed the callback URL, and did not reach the proxy."""
    REFUSED = "refused"
    """This webhook cannot be had, or is gone."""
    FAILURE = "failure"
    """An upstream failure; no step would succeed now."""


def classify_result(status: int, body: bytes) -> WebhookResult:
    """The result of Trello's response to a step."""
    if status == 200:
        return WebhookResult.DONE
    if status == 400 and b"did not return 200" in body:
        return WebhookResult.UNREACHABLE
    return WebhookResult.REFUSED if status in {400, 403, 404} else WebhookResult.FAILURE


def apply_result(
    webhooks: Sequence[Webhook], step: Step, body: bytes
) -> tuple[Webhook, ...] | None:
    """The webhooks after a step; None if the response does not show them."""
    match step:
        case Create(model):
            made = JsonIds(body).id
            return None if made is None else (*webhooks, Webhook(made, model, active=True))
        case Repair(repaired):
            again = replace(repaired, active=True)
            return tuple(again if each == repaired else each for each in webhooks)
        case Remove(removed):
            return tuple(each for each in webhooks if each != removed)
        case never:
            assert_never(never)
