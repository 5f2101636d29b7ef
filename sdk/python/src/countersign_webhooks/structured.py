"""Structured fields (RFC 8941 §4.2.2), as far as dictionaries go: `signature-input`, `signature`, `content-digest`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Union

from .encoding import from_base64
from .refused import WebhookRefused, malformed


class Token(str):
    """A word without quotes."""


class Decimal(float):
    """A number with a fraction."""


#: An integer, a decimal, a string, a token, bytes or a boolean.
Bare = Union[int, Decimal, str, Token, bytes, bool]
Parameters = Mapping[str, Bare]


@dataclass(frozen=True)
class Item:
    bare: Bare
    parameters: Parameters


@dataclass(frozen=True)
class Member:
    #: One item, or the items of an inner list.
    value: Union[Bare, list[Item]]
    parameters: Parameters
    #: As it was sent, with its parameters.
    text: str


_MEMBERS_MAX = 16
_ITEMS_MAX = 64
_KEY = re.compile(r"[a-z*][a-z0-9_.*-]*")
_NUMBER = re.compile(r"-?([0-9]+)(?:\.([0-9]+))?")
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"')
_TOKEN = re.compile(r"[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*")
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):")
_BOOLEAN = re.compile(r"\?[01]")
_COMMA = re.compile(r"[ \t]*,[ \t]*(?=[a-z*])")
_SPACES = re.compile(r" *")
_WHITE = re.compile(r"[ \t]*")
_BETWEEN_ITEMS = re.compile(r" +|(?=\))")


def dictionary(field: str, text: str) -> Mapping[str, Member]:
    """The members by name. A name that stands twice is refused, though RFC 8941 would take the last."""
    return _Reader(field, text).dictionary()


class _Reader:
    def __init__(self, field: str, text: str) -> None:
        self._field = field
        self._text = text
        self._position = 0

    def dictionary(self) -> dict[str, Member]:
        members: dict[str, Member] = {}
        self._take(_SPACES)
        while self._position < len(self._text):
            if members:
                self._take(_COMMA)
            key = self._take(_KEY)[0]
            if key in members or len(members) == _MEMBERS_MAX:
                raise self._refused()
            members[key] = self._member()
            end = _WHITE.match(self._text, self._position)
            if end is not None and end.end() == len(self._text):
                break
        return members

    def _member(self) -> Member:
        given = self._next("=")
        start = self._position
        value: Union[Bare, list[Item]] = True
        if given:
            value = self._inner_list() if self._next("(") else self._bare()
        parameters = self._parameters()
        return Member(value, parameters, self._text[start : self._position])

    def _inner_list(self) -> list[Item]:
        items: list[Item] = []
        self._take(_SPACES)
        while not self._next(")"):
            if len(items) == _ITEMS_MAX:
                raise self._refused()
            items.append(Item(self._bare(), self._parameters()))
            self._take(_BETWEEN_ITEMS)
        return items

    def _parameters(self) -> dict[str, Bare]:
        parameters: dict[str, Bare] = {}
        while self._next(";"):
            self._take(_SPACES)
            key = self._take(_KEY)[0]
            if key in parameters or len(parameters) == _MEMBERS_MAX:
                raise self._refused()
            parameters[key] = self._bare() if self._next("=") else True
        return parameters

    def _bare(self) -> Bare:
        first = self._text[self._position : self._position + 1]
        if first == '"':
            return re.sub(r"\\(.)", r"\1", self._take(_STRING)[1])
        if first == ":":
            return self._bytes()
        if first == "?":
            return self._take(_BOOLEAN)[0] == "?1"
        if first and first in "-0123456789":
            return self._number()
        return Token(self._take(_TOKEN)[0])

    def _bytes(self) -> bytes:
        found = from_base64(self._take(_BYTES)[1])
        if found is None:
            raise self._refused()
        return found

    def _number(self) -> Bare:
        """RFC 8941 §3.3.1: at most 15 digits; §3.3.2: at most 12 and 3."""
        found = self._take(_NUMBER)
        whole, fraction = found[1], found[2]
        if fraction is None:
            if len(whole) > 15:
                raise self._refused()
            return int(found[0])
        if len(whole) > 12 or len(fraction) > 3:
            raise self._refused()
        return Decimal(found[0])

    def _next(self, character: str) -> bool:
        if not self._text.startswith(character, self._position):
            return False
        self._position += 1
        return True

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._position)
        if found is None:
            raise self._refused()
        self._position = found.end()
        return found

    def _refused(self) -> WebhookRefused:
        return malformed(f"{self._field} must be a dictionary as in RFC 8941.")
