"""An audit entry names objects, and nothing that a client wrote otherwise."""

from proxy.access.audit import object_ids

CARD, LIST = "5e93ba403f1ab3603ba81a09", "5e9310df53f23017628a8011"


def test_ids_of_the_path_and_the_body_are_named_once() -> None:
    body = [("idList", LIST), ("name", LIST), ("idMembers[]", f"{CARD},{LIST}"), ("idX", "no id")]
    assert object_ids([("id", CARD), ("field", "name"), ("id2", "kpPww9qv")], body) == (
        CARD,
        "kpPww9qv",
        LIST,
    )


def test_a_key_or_a_token_is_no_id() -> None:
    secrets = ["0" * 32, "f" * 64, "ATTA" + "0" * 60, "tpk_" + "0" * 64, "a b", "-"]
    assert object_ids([("id", each) for each in secrets], []) == ()


def test_there_are_not_too_many() -> None:
    body = [("idMembers", f"{number:024x}") for number in range(100)]
    assert len(object_ids([], body)) == 20
