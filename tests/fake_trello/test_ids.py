"""Ids of the fake Trello."""

from proxy.fake_trello.ids import Ids
from proxy.fake_trello.samples import fill
from proxy.fake_trello.service import Trello
from proxy.runtime.clock import FakeClock


def test_an_id_has_the_time_of_its_creation_or_the_one_for_all() -> None:
    assert Ids().new(255.0).startswith("000000ff")
    fixed = Ids(16.0)
    assert [fixed.new(now)[:8] for now in (1.0, 2.0)] == ["00000010"] * 2


def test_with_one_time_for_all_the_samples_have_the_same_ids_at_each_start() -> None:
    made = []
    for now in (1_800_000_000.0, 1_900_000_000.0):
        trello = Trello(FakeClock(now), key="k", token="t" * 9, ids_at=1_767_225_600.0)
        fill(trello)
        board = trello.request(f"/1/boards/{trello.example_board}?cards=all&card_fields=shortLink")
        made.append((trello.example_attachment_path, board["cards"]))
    assert made[0] == made[1]
