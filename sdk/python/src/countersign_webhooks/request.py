"""Reads a request of any framework: its body, bounded while it arrives, and its headers by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Optional, Protocol, Union

from .refused import WebhookRefused, malformed


class Readable(Protocol):
    """A file of bytes: `wsgi.input`, `rfile`, a raw response."""

    def read(self, size: int, /) -> bytes: ...


class HeaderItems(Protocol):
    """Headers of a framework that are no mapping, but have items."""

    def items(self) -> Iterable[tuple[str, Any]]: ...


_Text = Union[str, bytes]
#: A mapping of names to one value or several, or pairs. Bytes are taken as ISO 8859-1, as ASGI gives them.
Headers = Union[Mapping[str, Any], HeaderItems, Iterable[tuple[_Text, _Text]]]
#: The raw body: bytes, a file of bytes, or pieces. Not text, and not what a parser made of it.
Body = Union[bytes, bytearray, memoryview, Readable, Iterable[bytes], None]


@dataclass(frozen=True)
class WebhookRequest:
    """A request as it arrived. `method` and `url` are for HTTP Message Signatures only."""

    headers: Headers
    body: Body
    method: Optional[str] = None
    #: The whole URL as the sender knows it, with host.
    url: Optional[str] = None


#: Headers by name in lower case, each with all its lines.
HeaderLines = Mapping[str, list[str]]

_HEADERS_MAX = 256
_HEADER_LENGTH_MAX = 16 * 1024
_PIECE_BYTES = 64 * 1024


def header_lines(source: object) -> HeaderLines:
    lines: dict[str, list[str]] = {}
    count = 0
    for name, value in _pairs(source):
        name, value = _text(name), _text(value)
        count += 1
        if count > _HEADERS_MAX or len(value) > _HEADER_LENGTH_MAX:
            raise malformed("There is too much in the headers.")
        lines.setdefault(name.lower(), []).append(value)
    return lines


def _pairs(source: object) -> Iterator[tuple[object, object]]:
    items = getattr(source, "items", None)
    found = items() if callable(items) else source
    if not isinstance(found, Iterable) or isinstance(found, (str, bytes)):
        raise malformed("Give the headers of the request.")
    for pair in found:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise malformed("Give headers as pairs of name and value.")
        name, value = pair
        if isinstance(value, (tuple, list)):
            for line in value:
                yield name, line
        else:
            yield name, value


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if not isinstance(value, str):
        raise malformed("Give header names and values as text.")
    return value


def read_body(source: object, max_bytes: int) -> bytes:
    """All of the body, at most `max_bytes`; what comes after them is not read."""
    if source is None:
        return b""
    if isinstance(source, (bytes, bytearray, memoryview)):
        if memoryview(source).nbytes > max_bytes:
            raise _too_large(max_bytes)
        return bytes(source)
    pieces = bytearray()
    for piece in _pieces(source):
        if not isinstance(piece, (bytes, bytearray, memoryview)):
            raise malformed("Give the raw body as bytes, or a stream of bytes.")
        pieces += piece
        if len(pieces) > max_bytes:
            raise _too_large(max_bytes)
    return bytes(pieces)


def _pieces(source: object) -> Iterator[object]:
    read = getattr(source, "read", None)
    if callable(read):
        while piece := read(_PIECE_BYTES):
            yield piece
    elif isinstance(source, Iterable) and not isinstance(source, (str, Mapping)):
        yield from source
    else:
        raise malformed("Give the raw body: bytes or a stream, not what a parser made of them.")


def _too_large(max_bytes: int) -> WebhookRefused:
    return WebhookRefused("too_large", f"The body is larger than {max_bytes} bytes.")
