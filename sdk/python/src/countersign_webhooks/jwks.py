"""The JWK set of an endpoint, fetched and kept as the wire format says."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections.abc import Sequence
from email.message import Message
from typing import IO, Callable, Optional
from urllib.parse import urlsplit

from .keys import VerificationKey, keys_of_set
from .refused import WebhookConfigurationError

#: A set is fresh for this long.
_FRESH_S = 5 * 60
#: A key id that is not known, or a fetch that failed, makes us ask at most this often.
_PAUSE_S = 60
#: As long as there was no good set at all.
_FIRST_S = 10
#: The last good set serves for this long while fetches fail.
_KEPT_S = 24 * 3600
_TIMEOUT_S = 5
_SIZE_MAX = 64 * 1024


class RemoteJwkSet:
    """Make one for each endpoint and keep it: it holds the cache. Threads may share it.

    `url` is `https://…/webhooks/{endpoint}/jwks.json`; `http` is taken for `localhost` only. `fetch` gives the body
    of an answer 200 without following redirects, or raises; by default `urllib` does.
    """

    def __init__(self, url: str, fetch: Optional[Callable[[str], bytes]] = None) -> None:
        self._url = _checked(url)
        self._fetch = fetch or _fetched
        self._lock = threading.Lock()
        self._keys: Optional[Sequence[VerificationKey]] = None
        self._fetched_at = 0.0
        self._asked_at: Optional[float] = None

    def find(self, key_ids: Sequence[str], now_s: float) -> Sequence[VerificationKey]:
        if not self._is_kept(_FRESH_S, now_s):
            self._refresh(now_s)
        keys = self._known(key_ids, now_s)
        if not keys:
            self._refresh(now_s)
            keys = self._known(key_ids, now_s)
        return keys

    def _known(self, key_ids: Sequence[str], now_s: float) -> Sequence[VerificationKey]:
        keys = self._keys
        if keys is None or not self._is_kept(_KEPT_S, now_s):
            raise LookupError("the JWK set could not be fetched")
        return [key for key in keys if key.id in key_ids]

    def _is_kept(self, length_s: float, now_s: float) -> bool:
        return self._keys is not None and _is_within(self._fetched_at, length_s, now_s)

    def _refresh(self, now_s: float) -> None:
        """Fetches unless that was done a moment ago. A failure leaves what is kept."""
        with self._lock:
            pause_s = _FIRST_S if self._keys is None else _PAUSE_S
            if self._asked_at is not None and _is_within(self._asked_at, pause_s, now_s):
                return
            self._asked_at = now_s
            try:
                keys = keys_of_set(json.loads(self._fetch(self._url)))
            except Exception:  # What is kept serves on; without any, `find` says so.
                return
            if keys is not None:
                self._keys, self._fetched_at = keys, now_s


def _is_within(at_s: float, length_s: float, now_s: float) -> bool:
    """A clock that went back makes everything old."""
    return 0 <= now_s - at_s < length_s


def _checked(url: object) -> str:
    try:
        parts = urlsplit(url) if isinstance(url, str) else None
        hostname = parts.hostname if parts else None
    except ValueError:
        parts = hostname = None
    if not parts or not hostname:
        raise WebhookConfigurationError("The URL of the JWK set must be a whole one, with https.")
    is_local = hostname in ("localhost", "127.0.0.1", "::1")
    if parts.scheme != "https" and not (parts.scheme == "http" and is_local):
        raise WebhookConfigurationError("The JWK set must be fetched by https.")
    return parts.geturl()


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def _fetched(url: str) -> bytes:
    opener = urllib.request.build_opener(_NoRedirects)
    asked = urllib.request.Request(url, headers={"Accept": "application/jwk-set+json, application/json"})
    end = time.monotonic() + _TIMEOUT_S
    with opener.open(asked, timeout=_TIMEOUT_S) as response:
        if response.status != 200:
            raise ValueError(f"the JWK set was answered with {response.status}")
        body = bytearray()
        while piece := response.read1(_SIZE_MAX):
            body += piece
            if len(body) > _SIZE_MAX or time.monotonic() > end:
                raise ValueError("the JWK set is too large, or comes too slowly")
        return bytes(body)
