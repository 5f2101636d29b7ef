"""The keys of the vectors. They are public: never use one of them."""

import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

KEY_NAMES = ["primary", "next", "ecdsa", "rsa", "stranger"]
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def b64(data):
    return base64.b64encode(data).decode()


def b64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def seed(text):
    """32 bytes that follow from `text`."""
    return hashlib.sha256(b"countersign webhook vectors 1: " + text.encode()).digest()


def identifier(prefix, text):
    """An id that follows from `text`: the prefix, and 26 characters that begin as those of the year 2026 do."""
    return prefix + "_01kb" + "".join(ALPHABET[byte % 32] for byte in seed(prefix + text)[:22])


class Keys:
    """The secret, the Ed25519 key and, for two of them, the key of another algorithm behind each key id."""

    def __init__(self, old):
        order = P256_ORDER - 1
        self._p256 = ec.derive_private_key(int.from_bytes(seed("p256"), "big") % order + 1, ec.SECP256R1())
        kept = old and old["keys"].get(self.id_of("rsa"), {}).get("private_for_tests", {}).get("rsa_pkcs8")
        if kept:
            self._rsa = serialization.load_der_private_key(base64.b64decode(kept), None)
        else:
            self._rsa = rsa.generate_private_key(65537, 2048)

    def id_of(self, name):
        return identifier("whk", name)

    def secret(self, name):
        return seed("secret " + name)

    def ed25519(self, name):
        return ed25519.Ed25519PrivateKey.from_private_bytes(seed("ed25519 " + name))

    def of_algorithm(self, name, algorithm):
        return {"ed25519": self.ed25519(name), "ecdsa-p256-sha256": self._p256, "rsa-pss-sha512": self._rsa}[algorithm]

    def entry(self, name):
        private = {"ed25519_seed": b64(seed("ed25519 " + name))}
        for owner, key in [("ecdsa", self._p256), ("rsa", self._rsa)]:
            if owner == name:
                private[f"{owner}_pkcs8"] = b64(
                    key.private_bytes(
                        serialization.Encoding.DER,
                        serialization.PrivateFormat.PKCS8,
                        serialization.NoEncryption(),
                    )
                )
        return {
            "secret": "whsec_" + b64(self.secret(name)),
            "public": "whpk_" + b64(self._public(name)),
            "private_for_tests": private,
        }

    def jwks(self):
        """The JWK set of an endpoint that would have all of these keys but the stranger's."""
        found = []
        for name in KEY_NAMES[:-1]:
            common = {"kid": self.id_of(name), "use": "sig"}
            found.append({"kty": "OKP", "crv": "Ed25519", "x": b64url(self._public(name)), **common, "alg": "EdDSA"})
            if name == "ecdsa":
                point = self._p256.public_key().public_numbers()
                x, y = (b64url(number.to_bytes(32, "big")) for number in (point.x, point.y))
                found.append({"kty": "EC", "crv": "P-256", "x": x, "y": y, **common, "alg": "ES256"})
            if name == "rsa":
                numbers = self._rsa.public_key().public_numbers()
                n, e = (
                    b64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
                    for number in (numbers.n, numbers.e)
                )
                found.append({"kty": "RSA", "n": n, "e": e, **common, "alg": "PS512"})
        return {"keys": found}

    def _public(self, name):
        return self.ed25519(name).public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw
        )
