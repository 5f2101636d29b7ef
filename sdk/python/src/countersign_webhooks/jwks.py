"""The JWK set of an endpoint, fetched and kept as the wire format says."""

from __future__ import annotations

import json
import socket
import threading
import time
import urllib.error
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
        self._failure: Optional[str] = None

    @property
    def failure(self) -> Optional[str]:
        """Why the last fetch gave no set that can be used, for logs. `None` if it did."""
        return self._failure

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
            raise LookupError(f"the JWK set could not be fetched: {self._failure}")
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
                keys = _keys_in(self._fetch(self._url))
            except Exception as error:  # What is kept serves on; without any, `find` says so.
                self._failure = _told(error)
                return
            # Keys that are no longer in the set were revoked, the last one too.
            self._keys, self._fetched_at = keys, now_s
            self._failure = None if keys else "no key in it can be used here"


def _keys_in(body: bytes) -> Sequence[VerificationKey]:
    try:
        document = json.loads(body)
    except Exception as error:
        raise ValueError("it is no JSON") from error
    keys = keys_of_set(document)
    if keys is None:
        raise ValueError("it is JSON and no JWK set, or has too many keys")
    return keys


def _told(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"it was answered with {error.code}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(reason, (TimeoutError, socket.timeout)):  # They are one since 3.10.
        return f"no whole answer came within {_TIMEOUT_S} s"
    return str(reason) or type(reason).__name__


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
    try:
        opened = opener.open(asked, timeout=_TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        raise
    with opened as response:
        if response.status != 200:
            raise ValueError(f"it was answered with {response.status}")
        body = bytearray()
        while piece := response.read1(_SIZE_MAX):
            body += piece
            if len(body) > _SIZE_MAX:
                raise ValueError(f"it is larger than {_SIZE_MAX} bytes")
            if time.monotonic() > end:
                raise TimeoutError
        return bytes(body)
