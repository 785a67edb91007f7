"""One webhook for each board, ours told from others' by the callback, and one step at a time."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.trello.webhook_api import (
    Create,
    Remove,
    Repair,
    Step,
    Webhook,
    WebhookResult,
    apply_result,
    classify_result,
    reconcile,
    webhooks_in,
)

URL = "https://hooks.example.com/-/webhook"
A, B, C = "a" * 24, "b" * 24, "c" * 24
ONE, TWO, THREE = "1" * 24, "2" * 24, "3" * 24


def listed(hook: str, model: str, *, url: str = URL, active: object = True) -> dict[str, object]:
    return {
        "id": hook,
        "description": "trello-proxy",
        "idModel": model,
        "callbackURL": url,
        "active": active,
        "consecutiveFailures": 0,
    }


def test_ours_are_those_that_lead_to_us_to_the_letter() -> None:
    others = (URL + "/", URL.upper(), URL + "?x", "https://elsewhere.example/-/webhook", "", None)
    body = json.dumps(
        [
            *(listed(THREE, C, url=str(url)) for url in others),
            listed(ONE, A),
            listed(TWO, B, active=False),
            {**listed(THREE, C), "idModel": None},
            {**listed(THREE, C), "id": "me"},
            {"callbackURL": URL},
            None,
        ]
    )
    ours = (Webhook(ONE, A, active=True), Webhook(TWO, B, active=False))
    assert webhooks_in(body.encode(), URL) == ours


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"[", b"\xff", b"[" * 100_000, b"<html>"])
def test_what_is_no_list_says_nothing(body: bytes) -> None:
    assert webhooks_in(body, URL) is None
    assert webhooks_in(b"[]", URL) == ()


WELL, SILENT, IDLE = (
    Webhook(ONE, A, active=True),
    Webhook(TWO, B, active=False),
    Webhook(THREE, C, active=False),
)

STEPS: dict[str, tuple[tuple[Webhook, ...], list[str], Step | None]] = {
    "nothing, and nothing wanted": ((), [], None),
    "all as it should be": ((WELL,), [A], None),
    "a board without": ((WELL,), [A, B], Create(B)),
    "one that is silent": ((WELL, SILENT), [A, B], Repair(SILENT)),
    "silent goes before missing": ((WELL, SILENT), [C, B], Repair(SILENT)),
    "missing goes before idle": ((WELL,), [B], Create(B)),
    "one that nobody needs": ((WELL, IDLE), [A], Remove(IDLE)),
}


@pytest.mark.parametrize(("webhooks", "wanted", "step"), STEPS.values(), ids=STEPS.keys())
def test_next_step(webhooks: tuple[Webhook, ...], wanted: list[str], step: Step | None) -> None:
    assert reconcile(webhooks, wanted) == step


IDS = st.integers(0, 30).map(lambda n: f"{n:024x}")


@given(st.dictionaries(IDS, st.booleans(), max_size=12), st.lists(IDS, max_size=12, unique=True))
def test_step_by_step_every_board_has_one_and_nothing_else(
    there: dict[str, bool], wanted: list[str]
) -> None:
    webhooks = tuple(Webhook(f"f{model[1:]}", model, active) for model, active in there.items())
    taken = 0
    while (step := reconcile(webhooks, wanted)) is not None:
        response = json.dumps({"id": f"{100 + taken:024x}"}).encode()
        following = apply_result(webhooks, step, response)
        assert following is not None
        webhooks, taken = following, taken + 1
        assert taken <= len(there) + len(wanted)
    assert sorted(each.model for each in webhooks) == sorted(wanted)
    assert all(each.active for each in webhooks)


def test_a_creation_that_does_not_show_what_it_made_leaves_it_open() -> None:
    assert apply_result((WELL,), Create(B), b"{}") is None
    made = apply_result((WELL,), Create(B), json.dumps({"id": TWO}).encode())
    assert made == (WELL, Webhook(TWO, B, active=True))


UNREACHED = b'{"error":"ERROR","message":"URL (x) did not return 200 status code, got 404"}'

VERDICTS = {
    "taken": (200, b"{}", WebhookResult.DONE),
    "the probe did not find us": (400, UNREACHED, WebhookResult.UNREACHABLE),
    "no such model": (400, b"invalid value for idModel", WebhookResult.REFUSED),
    "not ours to see": (403, b"", WebhookResult.REFUSED),
    "gone": (404, b"", WebhookResult.REFUSED),
    "a token that is none": (401, b"invalid token", WebhookResult.FAILURE),
    "too many questions": (429, b"", WebhookResult.FAILURE),
    "down": (503, UNREACHED, WebhookResult.FAILURE),
}


@pytest.mark.parametrize(("status", "body", "verdict"), VERDICTS.values(), ids=VERDICTS.keys())
def test_verdict_of(status: int, body: bytes, verdict: WebhookResult) -> None:
    assert classify_result(status, body) is verdict
