"""What an attachment's metadata says of its file."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.trello.attachment_metadata import (
    AttachmentInfo,
    Link,
    Malicious,
    Unreadable,
    UploadedFile,
    parse_attachment,
    preview_of_size,
)

UPLOAD: dict[str, Any] = {
    "id": "a" * 24,
    "bytes": 5,
    "isUpload": True,
    "mimeType": "text/plain",
    "name": "Minutes",
    "fileName": "a b.txt",
    "url": "https://trello.com/1/cards/c/attachments/a/download/a%20b.txt",
    "previews": [
        {"id": "b" * 24, "url": "https://x/1/cards/c/attachments/a/previews/b/download/p.png"}
    ],
}

WHOLE = UploadedFile("a" * 24, "a b.txt", "a%20b.txt", 5, "text/plain")

CASES: dict[str, tuple[dict[str, Any], str | None, AttachmentInfo]] = {
    "an upload": ({}, None, WHOLE),
    "an upload without a stored name": (
        {"fileName": None},
        None,
        WHOLE,
    ),
    "an upload with nothing but a name": (
        {"fileName": None, "url": ""},
        None,
        replace(WHOLE, name="Minutes", segment=""),
    ),
    "a date": (
        {"date": "2020-04-13T14:21:30.912Z"},
        None,
        replace(WHOLE, modified_at=1_586_787_690),
    ),
    "a date without a zone": (
        {"date": "2020-04-13T14:21:30"},
        None,
        replace(WHOLE, modified_at=1_586_787_690),
    ),
    "no date": ({"date": "soon"}, None, WHOLE),
    "a length in words": ({"bytes": "5"}, None, WHOLE),
    "a length of thousands of digits": (
        {"bytes": "9" * 5_000},
        None,
        replace(WHOLE, length=None),
    ),
    "no length": ({"bytes": None}, None, replace(WHOLE, length=None)),
    "no type": ({"mimeType": None}, None, replace(WHOLE, content_type="")),
    "an upload whose link is signed": (
        {
            "fileName": None,
            "url": "http://x:8080/1/cards/c/attachments/a/download/a%20b.txt?s=1.a-_",
        },
        None,
        WHOLE,
    ),
    "a signed link without a name": (
        {"fileName": None, "url": "http://x:8080/1/cards/c/attachments/a/download?s=1.a-_"},
        None,
        replace(WHOLE, name="Minutes", segment=""),
    ),
    "a preview": (
        {},
        "b" * 24,
        UploadedFile(f"{'a' * 24}/{'b' * 24}", "p.png", "p.png", None, "", "b" * 24),
    ),
    "a preview by name": (
        {},
        "preview2x",
        UploadedFile(f"{'a' * 24}/preview2x", "a b.txt", "", None, "", "preview2x"),
    ),
    "a link": ({"isUpload": False, "url": "https://x/y"}, None, Link("https://x/y")),
    "a malicious file": ({"isMalicious": True}, None, Malicious()),
    "no id": ({"id": None}, None, Unreadable()),
    "an address that ends in a path": (
        {"fileName": None, "url": "https://trello.com/1/download/../../x"},
        None,
        replace(WHOLE, name="Minutes", segment=""),
    ),
}


@pytest.mark.parametrize(("changes", "preview", "told"), CASES.values(), ids=CASES.keys())
def test_describe(changes: dict[str, Any], preview: str | None, told: AttachmentInfo) -> None:
    assert parse_attachment(json.dumps(UPLOAD | changes).encode(), preview) == told


BACKING = "https://trello-attachments.s3.amazonaws.com/c/{}/hash/a.png"
SIZES: dict[str, tuple[str, object, str | None]] = {
    "of that size": (BACKING.format("70x50"), [{"id": "p", "width": 70, "height": 50}], "p"),
    "of another size": (BACKING.format("70x50"), [{"id": "p", "width": 50, "height": 70}], None),
    "of no size": (BACKING.format("b"), [{"id": "p", "width": 70, "height": 50}], None),
    "of one without an id": (BACKING.format("70x50"), [{"width": 70, "height": 50}], None),
    "of none": (BACKING.format("70x50"), [], None),
    "of what is no list": (BACKING.format("70x50"), {"id": 1}, None),
    "of nothing": ("", [{"id": "p"}], None),
}


@pytest.mark.parametrize(("backing", "previews", "found"), SIZES.values(), ids=SIZES.keys())
def test_a_link_of_2020_names_a_preview_by_its_size(
    backing: str, previews: object, found: str | None
) -> None:
    metadata = json.dumps(UPLOAD | {"previews": previews}).encode()
    assert preview_of_size(metadata, backing) == found


@given(st.binary())
def test_what_is_no_metadata_is_not_read(body: bytes) -> None:
    parse_attachment(body)
    assert parse_attachment(b"[" + body) == Unreadable()
