"""Which webhooks of ours there should be at Trello, and the next step towards that."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from proxy.http_semantics.json_members import array_of
from proxy.trello.object_ids import JsonIds, is_id


@dataclass(frozen=True, slots=True)
class Webhook:
    """One of ours, as Trello lists it."""

    id: str
    model: str
    active: bool


@dataclass(frozen=True, slots=True)
class Create:
    """A board has none."""

    model: str


@dataclass(frozen=True, slots=True)
class Repair:
    """Trello has stopped delivering to it."""

    webhook: Webhook


@dataclass(frozen=True, slots=True)
class Remove:
    """Nobody reads what it tells of."""

    webhook: Webhook


Step = Create | Repair | Remove


def webhooks_in(body: bytes, callback_url: str) -> tuple[Webhook, ...] | None:
    """Those of a list of a token's webhooks that lead to us, and to us alone; None: no list."""
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
    """What to do first; None when all is as it should be.

    A webhook that is silent goes before one that is missing: its board counts as told of.
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
    """What Trello made of a step."""

    DONE = "done"
    UNREACHABLE = "unreachable"
    """It probed our callback, and did not find us there."""
    REFUSED = "refused"
    """This webhook is not to be had, or is gone."""
    FAILURE = "trouble"
    """Nothing is to be had now."""


def classify_result(status: int, body: bytes) -> WebhookResult:
    """What an answer to a step says."""
    if status == 200:
        return WebhookResult.DONE
    if status == 400 and b"did not return 200" in body:
        return WebhookResult.UNREACHABLE
    return WebhookResult.REFUSED if status in {400, 403, 404} else WebhookResult.FAILURE


def apply_result(
    webhooks: Sequence[Webhook], step: Step, body: bytes
) -> tuple[Webhook, ...] | None:
    """The webhooks there are once a step was taken; None where its answer leaves that open."""
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
