"""Who reads an answer: a person in a browser, or a program (RFC 9110 §12.5.1)."""


def wants_page(accept: str) -> bool:
    """Whether `text/html` is named with a weight above 0, as browsers name it when they navigate.

    A wildcard counts as a program's: curl, fetch() and `<img>` send one.
    """
    for part in accept.lower().split(","):
        media_type, *parameters = (piece.strip() for piece in part.split(";"))
        if media_type == "text/html":
            weights = [p.partition("=")[2] for p in parameters if p.startswith("q=")]
            return not weights or weights[0].strip(" 0.") != ""
    return False


def wants_json(accept: str) -> bool:
    """Whether a program asks for JSON by name."""
    return "application/json" in accept.lower()
