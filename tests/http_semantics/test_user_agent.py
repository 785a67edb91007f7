"""Client names in metrics: short, readable, and nothing that could be an id or a key."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.http_semantics.user_agent import client_name

CASES = {
    "a product, less its version": ("python-requests/2.31.0", "python-requests"),
    "the first of several": ("curl/8.5 libcurl/8.5", "curl"),
    "without a version": ("Zapier", "zapier"),
    "with a comment": ("nightly_sync (prod; host 7)", "nightly_sync"),
    "a product with a digit": ("OAuth2-Client/1", "oauth2-client"),
    "the proxy's own client": ("trello-proxy-warm/0.1.0", "trello-proxy-warm"),
    "every browser": ("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36", "browser"),
    "nothing": ("", "unnamed"),
    "the log's word for nothing": ("-", "unnamed"),
    "no product at all": ("(hidden)", "unnamed"),
    "an address of Trello's": ("https://trello.com/c/x", "https"),
    "an id": ("5f1a5f1a5f1a5f1a5f1a5f1a", "unclear"),
    "a key": ("0123456789abcdef0123456789abcdef", "unclear"),
    "a token": ("ATTA" + "ab" * 30, "unclear"),
    "an id behind a name": ("sync-5f1a5f1a5f1a", "unclear"),
    "what the log masked": ("***", "unnamed"),
}


@pytest.mark.parametrize(("user_agent", "name"), CASES.values(), ids=CASES.keys())
def test_client_name(user_agent: str, name: str) -> None:
    assert client_name(user_agent) == name


@given(st.text())
def test_any_user_agent_becomes_a_short_plain_word(user_agent: str) -> None:
    name = client_name(user_agent)
    assert re.fullmatch(r"[a-z][a-z0-9._-]{0,31}", name)
    assert sum(map(str.isdigit, name)) <= 3
