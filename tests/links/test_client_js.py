"""Trello's client.js asks the proxy; nothing else about it changes."""

from proxy.links.rewrite import rewrite_client_js

HERE = "http://trello.internal:8080"


def test_the_api_endpoint_becomes_the_proxy() -> None:
    script = b'var o={"version":1,"apiEndpoint":"https://api.trello.com","authEndpoint":"https://trello.com"};'
    assert rewrite_client_js(script, HERE) == (
        b'var o={"version":1,"apiEndpoint":"http://trello.internal:8080",'
        b'"authEndpoint":"https://trello.com"};'
    )


def test_so_does_one_with_escaped_slashes() -> None:
    assert rewrite_client_js(b'{"apiEndpoint":"https:\\/\\/api.trello.com"}', HERE) == (
        b'{"apiEndpoint":"http://trello.internal:8080"}'
    )


def test_addresses_that_only_begin_alike_stay() -> None:
    script = (
        b'"https://api.trello.com/1/x" \'https://api.trello.com\' "https://api.trello.com.evil"'
    )
    assert rewrite_client_js(script, HERE) == script


def test_an_address_cannot_break_out_of_its_quotes() -> None:
    assert rewrite_client_js(b'"https://api.trello.com"', 'http://a"b') == b'"http://a\\"b"'
