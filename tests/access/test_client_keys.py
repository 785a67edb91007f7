"""A client key is found by its digest; revoked and invented ones are not."""

from proxy.access.client import Client
from proxy.access.client_keys import PREFIX, ClientKeys, digest_of, generate

CI, ANNA = Client(name="ci", source="key"), Client(name="anna", source="key")


def keys_of(**clients: Client) -> ClientKeys:
    made = ClientKeys()
    made.reconfigure((digest_of(key), client) for key, client in clients.items())
    return made


def test_a_key_has_a_prefix_and_256_random_bits() -> None:
    key = generate(lambda size: bytes(range(size)))
    assert key == PREFIX + bytes(range(32)).hex()
    assert digest_of("abc").startswith("sha256:ba7816bf8f01cfea414140de5dae2223b00361a3")


def test_a_client_may_have_several_keys() -> None:
    keys = keys_of(old=CI, new=CI, hers=ANNA)
    found = [keys.find(key) for key in ("old", "new", "hers")]
    assert [entry and entry.client for entry in found] == [CI, CI, ANNA]
    assert [keys.find(key) for key in ("", "OLD", digest_of("old"), "\udcff")] == [None] * 4


def test_a_key_that_stays_keeps_the_time_of_its_last_use() -> None:
    keys = keys_of(old=CI, new=CI)
    entry = keys.find("old")
    assert entry is not None
    entry.use(7.0)
    assert sorted(keys.last_used().values(), key=str) == [7.0, None]
    keys.reconfigure([(digest_of("old"), ANNA)])
    assert keys.last_used() == {("anna", digest_of("old")[7:15]): 7.0}
    assert keys.find("new") is None
