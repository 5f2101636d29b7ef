"""Base64, strictly."""

from __future__ import annotations

import base64
import re
from typing import Optional

_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")


def from_base64(text: str) -> Optional[bytes]:
    """The bytes of padded base64 (RFC 4648 §4), or `None` if it is not that."""
    if not _BASE64.fullmatch(text):
        return None
    found = base64.b64decode(text)
    # Bits that stand for nothing are zero (§3.5): one value is written in one way.
    return found if base64.b64encode(found).decode() == text else None


def from_base64url(text: str) -> Optional[bytes]:
    """The bytes of base64 as JSON Web Keys have it (RFC 7515 §2), or `None`."""
    if not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        return None
    found = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    return found if base64.urlsafe_b64encode(found).decode().rstrip("=") == text else None
