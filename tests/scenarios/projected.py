"""What the tests of projected answers share."""

from proxy.fake_trello.server import FakeTrello
from tests.scenarios.conftest import Proxy

LIFETIME_S = 30
PROJECTED = "hit; ttl=30; detail=projected"
FIELD_SETS = ("name", "name,due", "idList,pos", "desc,labels", "url,shortUrl,closed")


async def is_trellos_word(proxy: Proxy, fake_trello: FakeTrello, target: str) -> str:
    """The Cache-Status of an answer that is, byte for byte, what Trello gives."""
    heard = await proxy.get(target)
    assert heard.status == 200
    assert heard.json == fake_trello.trello.request(target)
    return heard.cache
