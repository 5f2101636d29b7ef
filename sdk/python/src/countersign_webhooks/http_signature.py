"""The profile of HTTP Message Signatures (RFC 9421, with the digest of RFC 9530): what must be signed, and its base."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Callable, Optional
from urllib.parse import SplitResult, urlsplit

from .form import Claims
from .refused import malformed
from .request import HeaderLines
from .structured import Member, Parameters, dictionary

TAG = "countersign-webhook"
ALGORITHMS = ("ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512")

_DEMANDED = (
    "@method",
    "@authority",
    "@path",
    "@query",
    "content-type",
    "content-digest",
    "webhook-id",
    "webhook-timestamp",
    "webhook-attempt-id",
    "webhook-key-id",
    "webhook-event-class",
    "correlation-id",
)
_PORTS = {"https": 443, "http": 80}
_UNSAFE_IN_URL = re.compile(r"[^!-~]")

_Values = Callable[[str], Optional[str]]


@dataclass(frozen=True)
class HttpSignature:
    """One signature of the request, in form, with the text that it must be over."""

    key_id: str
    #: As the sender names it.
    algorithm: str
    expires_s: Optional[int]
    signature: bytes
    base: bytes


@dataclass(frozen=True)
class HttpClaims:
    signatures: list[HttpSignature]
    #: SHA-256 of the body, as the sender says.
    digest: bytes


def http_claims(method: object, url: object, headers: HeaderLines, claims: Claims) -> HttpClaims:
    digest = _content_digest(headers)
    inputs = dictionary("signature-input", _field(headers, "signature-input"))
    sent = dictionary("signature", _field(headers, "signature"))
    values = _component_values(method, url, headers)
    signatures = [
        _http_signature(input, sent.get(label), values, claims)
        for label, input in inputs.items()
        if _string(input.parameters, "tag") == TAG
    ]
    if not signatures:
        raise malformed(f"signature-input must hold a signature with the tag {TAG}.")
    return HttpClaims(signatures, digest)


def _content_digest(headers: HeaderLines) -> bytes:
    found = dictionary("content-digest", _field(headers, "content-digest")).get("sha-256")
    if found is None or not isinstance(found.value, bytes) or len(found.value) != 32:
        raise malformed("content-digest must hold a sha-256 of 32 bytes.")
    return found.value


def _http_signature(input: Member, sent: Optional[Member], values: _Values, claims: Claims) -> HttpSignature:
    if sent is None or not isinstance(sent.value, bytes):
        raise malformed("Each label needs bytes in the header signature.")
    parameters = input.parameters
    if _integer(parameters, "created") != claims.timestamp_s:
        raise malformed("created must equal webhook-timestamp.")
    if _string(parameters, "nonce") != claims.attempt_id:
        raise malformed("nonce must equal webhook-attempt-id.")
    key_id = _string(parameters, "keyid")
    if key_id is None or key_id not in claims.key_ids:
        raise malformed("keyid must be one of webhook-key-id.")
    algorithm = _string(parameters, "alg")
    if algorithm is None:
        raise malformed("alg must be there, as a string.")
    expires_s = _integer(parameters, "expires")
    if expires_s is None and "expires" in parameters:
        raise malformed("expires must be whole seconds.")
    return HttpSignature(key_id, algorithm, expires_s, sent.value, _signature_base(input, values))


def _signature_base(input: Member, values: _Values) -> bytes:
    """RFC 9421 §2.5."""
    if not isinstance(input.value, list):
        raise malformed("signature-input must list components in brackets.")
    lines: dict[str, str] = {}
    for item in input.value:
        name = item.bare
        if type(name) is not str or item.parameters:
            raise malformed("Components are strings without parameters here.")
        value = values(name)
        if value is None:
            raise malformed("A component is signed that the request does not have.")
        if name in lines:
            raise malformed("A component is listed twice.")
        lines[name] = f'"{name}": {value}'
    sequence = () if values("webhook-sequence") is None else ("webhook-sequence",)
    for component in _DEMANDED + sequence:
        if component not in lines:
            raise malformed(f"The HTTP message signature must cover {component}.")
    return "\n".join([*lines.values(), f'"@signature-params": {input.text}']).encode("utf-8", "surrogatepass")


def _component_values(method: object, url: object, headers: HeaderLines) -> _Values:
    """RFC 9421 §2.1 and §2.2."""
    derived = _derived(method, url)

    def value(component: str) -> Optional[str]:
        if component.startswith("@"):
            return derived.get(component)
        lines = headers.get(component)
        if lines is None:
            return None
        if any("\n" in line or "\r" in line for line in lines):
            raise malformed("A header holds a line break.")
        return ", ".join(line.strip(" \t") for line in lines)

    return value


def _derived(method: object, url: object) -> Mapping[str, str]:
    parts, port = _whole_url(url)
    if not isinstance(method, str) or parts is None:
        raise malformed("Give method and the whole URL of the request, as the sender knows it.")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return {
        "@method": method,
        "@authority": host if port in (None, _PORTS[parts.scheme]) else f"{host}:{port}",
        "@scheme": parts.scheme,
        "@path": parts.path or "/",
        "@query": "?" + parts.query,
    }


def _whole_url(url: object) -> tuple[Optional[SplitResult], Optional[int]]:
    try:
        if isinstance(url, str) and not _UNSAFE_IN_URL.search(url):
            parts = urlsplit(url)
            port = parts.port
            if parts.scheme in _PORTS and parts.hostname:
                return parts, port
    except ValueError:
        pass
    return None, None


def _field(headers: HeaderLines, name: str) -> str:
    lines = headers.get(name)
    if lines is None:
        raise malformed(f"The header {name} is missing.")
    return ", ".join(lines)


def _string(parameters: Parameters, name: str) -> Optional[str]:
    found = parameters.get(name)
    return found if type(found) is str else None


def _integer(parameters: Parameters, name: str) -> Optional[int]:
    found = parameters.get(name)
    return found if type(found) is int else None
