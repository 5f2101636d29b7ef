"""Keys of an endpoint: the shared secret, and public keys."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Callable, Literal, Optional, Protocol, Union

from .encoding import from_base64, from_base64url
from .form import is_identifier
from .refused import WebhookConfigurationError

#: `hmac-sha256` is `v1`, `ed25519` is `v1a`; the last three are those of HTTP Message Signatures.
Algorithm = Literal["hmac-sha256", "ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"]

_RSA_BYTES_MIN = 256
_RSA_BYTES_MAX = 512
_KEYS_MAX = 32


@dataclass(frozen=True)
class VerificationKey:
    """One key of one algorithm. `verifies(signature, text)` says whether the signature is by it, in constant time."""

    id: str
    algorithm: Algorithm
    verifies: Callable[[bytes, bytes], bool] = field(repr=False, compare=False)


class KeySource(Protocol):
    """Gives the keys with these ids, as far as it has them. It may raise when it cannot know."""

    def find(self, key_ids: Sequence[str], now_s: float) -> Sequence[VerificationKey]: ...


@dataclass(frozen=True)
class Key:
    """A key as the console shows it: `whk_…`, `whsec_…` for `v1`, `whpk_…` for `v1a`."""

    id: str
    secret: Optional[str] = field(default=None, repr=False)
    public: Optional[str] = None


class StaticKeys:
    """Keys that are known from the start: while one is rotated, both."""

    def __init__(self, keys: Iterable[Union[Key, VerificationKey]]) -> None:
        self._keys: list[VerificationKey] = []
        for key in keys:
            self._keys.extend([key] if isinstance(key, VerificationKey) else _keys_of_text(key))

    def find(self, key_ids: Sequence[str], now_s: float) -> Sequence[VerificationKey]:
        return [key for key in self._keys if key.id in key_ids]


def jwk_set(document: object) -> StaticKeys:
    """A JWK set that was read before. `RemoteJwkSet` fetches one and keeps it fresh."""
    keys = keys_of_set(document)
    if keys is None:
        raise WebhookConfigurationError("This is no JWK set: it has no list of keys.")
    return StaticKeys(keys)


def _keys_of_text(key: Key) -> list[VerificationKey]:
    if not isinstance(key.id, str) or not is_identifier("whk_", key.id):
        raise WebhookConfigurationError("A key's id is whk_ and 26 characters.")
    found = []
    if key.secret is not None:
        found.append(VerificationKey(key.id, "hmac-sha256", _hmac(_material(key.secret, "whsec_", "secret"))))
    if key.public is not None:
        made = _ed25519(_material(key.public, "whpk_", "public key"))
        if made is None:
            raise WebhookConfigurationError("This public key is no Ed25519 key.")
        found.append(VerificationKey(key.id, "ed25519", made))
    if not found:
        raise WebhookConfigurationError("Give a secret, a public key, or both, for each key id.")
    return found


def _material(text: object, prefix: str, what: str) -> bytes:
    found = from_base64(text[len(prefix) :]) if isinstance(text, str) and text.startswith(prefix) else None
    if found is None or len(found) != 32:
        raise WebhookConfigurationError(
            f"A {what} is {prefix} and base64 of 32 bytes, as the console shows it."
        )
    return found


def keys_of_set(document: object) -> Optional[list[VerificationKey]]:
    """The keys of a set that can be used; others are skipped. `None` if it is no set."""
    keys = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(keys, list) or len(keys) > _KEYS_MAX:
        return None
    found = [_key_of_jwk(key) for key in keys]
    return [key for key in found if key is not None]


def _key_of_jwk(jwk: object) -> Optional[VerificationKey]:
    """RFC 7517 §4, RFC 7518 §6, RFC 8037 §2."""
    if not isinstance(jwk, dict):
        return None
    kid, kind = jwk.get("kid"), (jwk.get("kty"), jwk.get("crv"))
    if not isinstance(kid, str) or not is_identifier("whk_", kid) or jwk.get("use", "sig") != "sig":
        return None
    algorithm = jwk.get("alg")
    if kind == ("OKP", "Ed25519") and algorithm in (None, "EdDSA", "Ed25519"):
        return _key(kid, "ed25519", _ed25519(_bytes_of(jwk, "x", 32, 32)))
    if kind == ("EC", "P-256") and algorithm in (None, "ES256"):
        x, y = _bytes_of(jwk, "x", 32, 32), _bytes_of(jwk, "y", 32, 32)
        return _key(kid, "ecdsa-p256-sha256", _ecdsa(x, y))
    if kind[0] == "RSA" and algorithm in (None, "PS512"):
        n, e = _bytes_of(jwk, "n", _RSA_BYTES_MIN, _RSA_BYTES_MAX), _bytes_of(jwk, "e", 1, 4)
        return _key(kid, "rsa-pss-sha512", _rsa(n, e))
    return None


_Verifies = Callable[[bytes, bytes], bool]


def _key(kid: str, algorithm: Algorithm, verifies: Optional[_Verifies]) -> Optional[VerificationKey]:
    return None if verifies is None else VerificationKey(kid, algorithm, verifies)


def _bytes_of(jwk: dict[object, object], member: str, least: int, most: int) -> Optional[bytes]:
    text = jwk.get(member)
    found = from_base64url(text) if isinstance(text, str) else None
    return found if found is not None and least <= len(found) <= most else None


def _hmac(secret: bytes) -> _Verifies:
    def verifies(signature: bytes, text: bytes) -> bool:
        return hmac.compare_digest(hmac.digest(secret, text, hashlib.sha256), signature)

    return verifies


def _ed25519(point: Optional[bytes]) -> Optional[_Verifies]:
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if point is None:
        return None
    try:
        key = Ed25519PublicKey.from_public_bytes(point)
    except ValueError:
        return None

    def verifies(signature: bytes, text: bytes) -> bool:
        try:
            key.verify(signature, text)
        except InvalidSignature:
            return False
        return True

    return verifies


def _ecdsa(x: Optional[bytes], y: Optional[bytes]) -> Optional[_Verifies]:
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    if x is None or y is None:
        return None
    try:
        numbers = ec.EllipticCurvePublicNumbers(
            int.from_bytes(x, "big"), int.from_bytes(y, "big"), ec.SECP256R1()
        )
        key = numbers.public_key()
    except ValueError:
        return None

    def verifies(signature: bytes, text: bytes) -> bool:
        """RFC 9421 §3.3.4: r and s, 32 bytes each."""
        if len(signature) != 64:
            return False
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        try:
            key.verify(encode_dss_signature(r, s), text, ec.ECDSA(hashes.SHA256()))
        except (InvalidSignature, ValueError):
            return False
        return True

    return verifies


def _rsa(n: Optional[bytes], e: Optional[bytes]) -> Optional[_Verifies]:
    _need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa

    if n is None or e is None:
        return None
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if modulus.bit_length() < 8 * _RSA_BYTES_MIN or exponent < 3:
        return None
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError:
        return None
    pss = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)

    def verifies(signature: bytes, text: bytes) -> bool:
        """RFC 9421 §3.3.1."""
        try:
            key.verify(signature, text, pss, hashes.SHA512())
        except (InvalidSignature, ValueError):
            return False
        return True

    return verifies


def _need_cryptography() -> None:
    try:
        import cryptography  # noqa: F401
    except ImportError as error:
        raise WebhookConfigurationError(
            "Public keys need the package cryptography: install it, or verify v1 by a secret alone."
        ) from error
