"""Small files made by code: a picture, a drawing, a page."""

import struct
import zlib


def png(width: int, height: int, color: tuple[int, int, int]) -> bytes:
    """A picture fading from a colour to white, as PNG."""
    rows = b"".join(b"\0" + _row(width, color, y / height) for y in range(height))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows, 9)), _chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def _row(width: int, color: tuple[int, int, int], share: float) -> bytes:
    return bytes(round(part + (255 - part) * share) for part in color) * width


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def svg(title: str) -> bytes:
    """A floor plan of two rooms, as SVG."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 120">'
        f"<title>{title}</title>"
        '<g fill="none" stroke="#1d3557" stroke-width="4">'
        '<rect x="10" y="10" width="120" height="100"/>'
        '<rect x="130" y="10" width="100" height="60"/>'
        '</g><text x="20" y="40">Open space</text><text x="140" y="40">Kitchen</text></svg>\n'
    ).encode()


def pdf(line: str) -> bytes:
    """One page with one line, as PDF."""
    drawing = f"BT /F1 18 Tf 72 720 Td ({line}) Tj ET".encode("latin-1")
    fonts = b"/Resources << /Font << /F1 5 0 R >> >>"
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R %s >>" % fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(objects) + 1
    end = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, len(out))
    return bytes(out) + b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table) + end
