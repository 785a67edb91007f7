"""Any request gets a response or a refusal; none is an internal error."""

import json
import re
from contextlib import suppress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.fake_trello.errors import Refusal
from proxy.fake_trello.request import names
from proxy.fake_trello.routes import (
    boards,
    cards,
    checklists,
    comments,
    custom_fields,
    lists,
    members,
)
from proxy.fake_trello.service import Trello
from proxy.runtime.clock import FakeClock
from tests.samples import fill

TABLES = (boards, cards, checklists, comments, custom_fields, lists, members)
PATTERNS = [route for table in TABLES for route in table.TABLE]
NAMES = names(
    "name desc closed idMembers idAttachmentCover idList idLabels idBoard pos due cover value text "
    "idModel type options idCard idCardSource state limit filter fields since before cards actions "
    "card_fields customFieldItems idValue top displayName color subscribed prefs/voting"
)
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.sampled_from(["top", "all", "none", "f" * 24, {"a": 1}, ["x"], [{"idCustomField": "x"}]]),
)


def path_of(trello: Trello, pattern: str) -> str:
    known = {
        "board": trello.example_board,
        "card": trello.example_card,
        "list": trello.lists.all()[0]["id"],
        "label": trello.labels.all()[0]["id"],
        "checklist": trello.checklists.all()[0]["id"],
        "action": trello.actions.all()[-1]["id"],
        "customField": trello.custom_fields.all()[0]["id"],
        "member": "me",
        "field": "name",
        "filter": "all",
    }
    return "/1/" + re.sub(r"\{(\w+)\}", lambda name: known.get(name[1], "f" * 24), pattern)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PATTERNS), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=5))
def test_any_parameters_get_a_response_or_a_refusal(
    route: tuple[str, str], params: dict[str, Any]
) -> None:
    trello = Trello(FakeClock(), key="k" * 32, token="t" * 64)
    fill(trello)
    with suppress(Refusal):
        response = trello.edit(route[0], path_of(trello, route[1]), params)
        assert json.dumps(response, allow_nan=False)
