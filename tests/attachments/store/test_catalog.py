"""The catalogue in memory: rows by attachment and by bytes, and links that led to a file."""

from proxy.attachments.store.catalog import AttachmentIndex, AttachmentRow, SeenLinks


def row(file_id: str, digest: str) -> AttachmentRow:
    return AttachmentRow(file_id, digest, "image/png")


def test_dropping_bytes_drops_every_attachment_that_has_them() -> None:
    index = AttachmentIndex()
    for each in (row("1", "a"), row("2", "a"), row("3", "b")):
        index.put(each)
    index.drop("a")
    assert [index.get(name) for name in "123"] == [None, None, row("3", "b")]
    assert len(index) == 1


def test_an_attachment_has_the_bytes_of_its_last_row() -> None:
    index = AttachmentIndex()
    index.put(row("1", "a"))
    index.put(row("1", "b"))
    index.drop("a")
    assert index.get("1") == row("1", "b")


def test_a_link_is_pending_once() -> None:
    seen = SeenLinks()
    seen.load(["old"])
    for link in ("old", "new", "new"):
        seen.add(link)
    assert seen.take_pending() == {"new"}
    assert seen.take_pending() == set()
    assert "old" in seen
