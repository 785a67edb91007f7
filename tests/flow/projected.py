"""What the tests of projected answers share."""

from proxy.demo.standin import StandIn
from tests.flow.conftest import Proxy

LIFETIME_S = 30
PROJECTED = "hit; ttl=30; detail=projected"
FIELD_SETS = ("name", "name,due", "idList,pos", "desc,labels", "url,shortUrl,closed")


async def is_trellos_word(proxy: Proxy, standin: StandIn, target: str) -> str:
    """The Cache-Status of an answer that is, byte for byte, what Trello gives."""
    heard = await proxy.get(target)
    assert heard.status == 200
    assert heard.json == standin.trello.ask(target)
    return heard.cache
