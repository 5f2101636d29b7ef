"""Verifies webhooks of Countersign. The format is `docs/webhooks/wire-format.md`."""

from .event import WebhookEvent
from .jwks import RemoteJwkSet
from .keys import Algorithm, Key, KeySource, StaticKeys, VerificationKey, jwk_set
from .refused import RefusalCode, WebhookConfigurationError, WebhookRefused
from .replay import (
    Attempt,
    MemoryReplayStore,
    RedisClient,
    RedisReplayStore,
    ReplayStore,
    Seen,
    SqliteReplayStore,
)
from .request import WebhookRequest
from .verification import Profile, VerifyOptions, WebhookMessage, verify

__all__ = [
    "Algorithm",
    "Attempt",
    "Key",
    "KeySource",
    "MemoryReplayStore",
    "Profile",
    "RedisClient",
    "RedisReplayStore",
    "RefusalCode",
    "RemoteJwkSet",
    "ReplayStore",
    "Seen",
    "SqliteReplayStore",
    "StaticKeys",
    "VerificationKey",
    "VerifyOptions",
    "WebhookConfigurationError",
    "WebhookEvent",
    "WebhookMessage",
    "WebhookRefused",
    "WebhookRequest",
    "jwk_set",
    "verify",
]
