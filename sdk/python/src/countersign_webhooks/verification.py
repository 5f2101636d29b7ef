"""Verification in the order of the wire format. Whatever comes, it gives a message or raises `WebhookRefused`."""

from __future__ import annotations

import hashlib
import hmac
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Callable, Literal, Optional, Union

from .event import WebhookEvent, event_of
from .form import Claims, claims_of
from .http_signature import ALGORITHMS, HttpClaims, http_claims
from .keys import KeySource, VerificationKey
from .refused import WebhookConfigurationError, WebhookRefused, malformed
from .replay import Attempt, ReplayStore
from .request import WebhookRequest, header_lines, read_body

_WINDOW_S = 300
_BODY_MAX_BYTES = 256 * 1024
#: Ids are kept for longer than anybody can have the sender send again, which is 29 days.
_IDS_KEPT_S = 35 * 86_400
_SCHEMES = {"v1": "hmac-sha256", "v1a": "ed25519"}

Profile = Literal["message", "http-message-signature"]


@dataclass(frozen=True)
class VerifyOptions:
    """How requests are verified. Made once; raises `WebhookConfigurationError` if it cannot be used."""

    #: Where keys come from: `StaticKeys`, `jwk_set`, a `RemoteJwkSet`, or several of them.
    keys: Union[KeySource, Sequence[KeySource]]
    #: Where it is remembered what was seen.
    replay: ReplayStore
    #: `message` takes `v1` and `v1a`, as far as there are keys for them; the other demands an HTTP Message Signature.
    profile: Profile = "message"
    #: How far `webhook-timestamp` may be from the clock: 1 to 300.
    window_s: int = _WINDOW_S
    #: The largest body that is taken.
    body_max_bytes: int = _BODY_MAX_BYTES
    #: Seconds since 1970.
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if type(self.window_s) is not int or not 1 <= self.window_s <= _WINDOW_S:
            raise WebhookConfigurationError(f"window_s must be 1 to {_WINDOW_S}.")
        if type(self.body_max_bytes) is not int or self.body_max_bytes < 1:
            raise WebhookConfigurationError("body_max_bytes must be a positive number.")
        if self.profile not in ("message", "http-message-signature"):
            raise WebhookConfigurationError("profile must be message or http-message-signature.")
        if not callable(getattr(self.replay, "take", None)):
            raise WebhookConfigurationError("replay must be a replay store.")
        if not all(callable(getattr(source, "find", None)) for source in self._sources()):
            raise WebhookConfigurationError("keys must be a source of keys, or several.")
        if not callable(self.clock):
            raise WebhookConfigurationError("clock must give seconds since 1970.")

    def _sources(self) -> Sequence[KeySource]:
        return self.keys if isinstance(self.keys, (list, tuple)) else [self.keys]  # type: ignore[list-item]


@dataclass(frozen=True)
class WebhookMessage:
    """A message that is right."""

    #: `msg_…`, the same for each attempt.
    id: str
    event: WebhookEvent
    #: It was acted on before: answer 200, and do nothing.
    duplicate: bool
    #: The key that signed.
    key_id: str
    #: When the attempt was signed, in seconds since 1970.
    timestamp_s: int
    #: For logs: `v1` and `v1a` do not sign it.
    attempt_id: str
    #: For logs: `v1` and `v1a` do not sign it.
    correlation_id: Optional[str]
    #: The bytes that were signed.
    body: bytes = field(repr=False)
    _acted: Callable[[], None] = field(repr=False, compare=False)

    def acted(self) -> None:
        """Call it when the message is stored, before you answer 200. Until then a retry is a new message to you."""
        self._acted()


def verify(request: WebhookRequest, options: VerifyOptions) -> WebhookMessage:
    """Verifies one request, once: its body is read, and its nonce is spent. Raises `WebhookRefused`, and nothing else."""
    try:
        return _verified(request, options)
    except WebhookRefused:
        raise
    except Exception as error:
        raise malformed("The request could not be read.") from error


def _verified(request: WebhookRequest, options: VerifyOptions) -> WebhookMessage:
    body = read_body(request.body, options.body_max_bytes)
    headers = header_lines(request.headers)
    claims = claims_of(headers)
    http = None
    if options.profile == "http-message-signature":
        http = http_claims(request.method, request.url, headers, claims)
    now_s = _now_s(options)
    _check_window(claims, http, math.floor(now_s), options.window_s)
    keys = _keys_for(claims.key_ids, options._sources(), now_s)
    signer = _signer(claims, body, keys) if http is None else _http_signer(http, body, keys)
    if signer is None:
        raise WebhookRefused("bad_signature", "No signature is right by a key that is held.")
    event = event_of(body)
    duplicate = _take_nonce(claims, now_s, options)

    def acted() -> None:
        at_s = options.clock()
        options.replay.acted(claims.id, at_s, at_s + _IDS_KEPT_S)

    correlation_id = headers.get("correlation-id", [None])[0]
    return WebhookMessage(
        claims.id, event, duplicate, signer, claims.timestamp_s, claims.attempt_id, correlation_id, body, acted
    )


def _now_s(options: VerifyOptions) -> float:
    try:
        now_s = float(options.clock())
    except Exception as error:
        raise WebhookRefused("unavailable", "The clock cannot be read.") from error
    if not math.isfinite(now_s):
        raise WebhookRefused("unavailable", "The clock must give seconds since 1970.")
    return now_s


def _check_window(claims: Claims, http: Optional[HttpClaims], now_s: int, window_s: int) -> None:
    age_s = now_s - claims.timestamp_s
    ends = [signature.expires_s for signature in http.signatures] if http else []
    if age_s > window_s or any(end is not None and end < now_s for end in ends):
        raise WebhookRefused("stale", "The message was signed too long ago: compare the clocks, or send it again.")
    if -age_s > window_s:
        raise WebhookRefused("future", "The message is of the future: compare the clocks.")


def _keys_for(ids: Sequence[str], sources: Sequence[KeySource], now_s: float) -> Sequence[VerificationKey]:
    keys: list[VerificationKey] = []
    failure: Optional[Exception] = None
    for source in sources:
        try:
            keys.extend(source.find(ids, now_s))
        except Exception as error:
            failure = error
    if keys:
        return keys
    if failure is not None:
        raise WebhookRefused("unavailable", f"The keys cannot be asked for now: {failure}.") from failure
    message = "None of the keys of webhook-key-id is held."
    for why in (getattr(source, "failure", None) for source in sources):
        message += f" The JWK set: {why}." if why else ""
    raise WebhookRefused("unknown_key", message)


def _signer(claims: Claims, body: bytes, keys: Sequence[VerificationKey]) -> Optional[str]:
    """The key of `v1` or `v1a` that signed."""
    text = f"{claims.id}.{claims.timestamp}.".encode() + body
    for scheme, signature in claims.signatures:
        for key in keys:
            if key.algorithm == _SCHEMES.get(scheme) and key.verifies(signature, text):
                return key.id
    return None


def _http_signer(http: HttpClaims, body: bytes, keys: Sequence[VerificationKey]) -> Optional[str]:
    if not hmac.compare_digest(hashlib.sha256(body).digest(), http.digest):
        return None
    for found in http.signatures:
        for key in keys:
            fits = key.id == found.key_id and key.algorithm == found.algorithm and found.algorithm in ALGORITHMS
            if fits and key.verifies(found.signature, found.base):
                return key.id
    return None


def _take_nonce(claims: Claims, now_s: float, options: VerifyOptions) -> bool:
    """Spends the nonce; whether the message was acted on before."""
    keep_until_s = now_s + 2 * options.window_s + 1
    cause: Optional[Exception] = None
    seen: object = None
    try:
        seen = options.replay.take(Attempt(claims.id, claims.timestamp_s, now_s, keep_until_s))
    except Exception as error:
        cause = error
    if seen == "replayed":
        raise WebhookRefused("replayed", "This attempt was taken before.")
    if seen not in ("new", "duplicate"):
        raise WebhookRefused("unavailable", "The replay store cannot be asked now.") from cause
    return seen == "duplicate"
