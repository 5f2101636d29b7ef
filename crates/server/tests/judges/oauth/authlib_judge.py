"""Judge: PyPI `Authlib`, which knows neither PAR nor DPoP: its tokens are bound by the client's certificate, or not at
all. Its input, besides what judge.mjs says:

redirect_uri, scope, parameters, resource   as for oauth4webapi.mjs

Steps: authorize · resource · refresh · reuse · introspect · revoke · client_credentials
"""

import base64
import hashlib
import pathlib
import ssl
import time

from authlib.common.security import generate_token
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from judge import INPUT, judge, metadata, must, open_page, prepare


class Assertion(PrivateKeyJWT):
    """Of itself, the library makes assertions that live for an hour. In claims that it is given it keeps its `jti`, so that
    each assertion gets claims of its own."""

    def sign(self, auth, token_endpoint):
        self.claims = {"exp": int(time.time()) + 60}
        return super().sign(auth, token_endpoint)


def session_of(described):
    """The library's session, which authenticates the client at every endpoint in its way."""
    method = described["method"]
    by_key = method == "private_key_jwt"
    session = OAuth2Session(
        described["id"],
        ECKey.import_key(described["jwk"]) if by_key else None,
        token_endpoint_auth_method="private_key_jwt" if by_key else "none",
        revocation_endpoint_auth_method="private_key_jwt" if by_key else "none",
        scope=INPUT["scope"],
        redirect_uri=INPUT.get("redirect_uri"),
        code_challenge_method="S256",
    )
    header = {"alg": "ES256", "kid": described.get("jwk", {}).get("kid")}
    session.register_client_auth_method(Assertion(INPUT["issuer"], headers=header, alg="ES256"))
    return prepare(session, described)


CLIENT = session_of(INPUT["client"])
SERVER = metadata(INPUT["client"])
ENDPOINTS = SERVER | (SERVER.get("mtls_endpoint_aliases", {}) if "certificate" in INPUT["client"] else {})
TOKENS = []


def keep(token):
    must(token["token_type"] == "Bearer", f"the token is of the type {token['token_type']}")
    TOKENS.append(dict(token))
    return {"scope": token.get("scope"), "expires_in": token["expires_in"]}


def client_credentials():
    found = keep(CLIENT.fetch_token(ENDPOINTS["token_endpoint"], grant_type="client_credentials", scope=INPUT["scope"]))
    must("refresh_token" not in TOKENS[-1], "there is a refresh token (RFC 6749 §4.4.3)")
    return found


def authorize():
    verifier, nonce = generate_token(48), generate_token()
    parameters = {"code_verifier": verifier, "nonce": nonce, **INPUT.get("parameters", {})}
    url, state = CLIENT.create_authorization_url(SERVER["authorization_endpoint"], **parameters)
    back = open_page(url)
    must(f"iss={INPUT['issuer']}" in back.replace("%3A", ":").replace("%2F", "/"), "the response does not say its issuer")
    CLIENT.metadata["grant_type"] = None
    token = CLIENT.fetch_token(
        ENDPOINTS["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier
    )
    TOKENS.clear()
    if "openid" in INPUT["scope"].split():
        check_id_token(token, nonce)
    return keep(token)


def check_id_token(token, nonce):
    keys = KeySet.import_key_set(CLIENT.get(SERVER["jwks_uri"], withhold_token=True).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=["ES256"])
    options = {"iss": {"value": INPUT["issuer"]}, "aud": {"value": INPUT["client"]["id"]}}
    given = {"nonce": nonce, "client_id": INPUT["client"]["id"], "access_token": token["access_token"]}
    CodeIDToken(decoded.claims, decoded.header, options, given).validate()


def resource():
    response = CLIENT.get(INPUT["resource"])
    must(response.ok, f"the resource answers {response.status_code}")
    return {"status": response.status_code}


def refresh():
    before = TOKENS[-1]["refresh_token"]
    found = keep(CLIENT.refresh_token(ENDPOINTS["token_endpoint"], refresh_token=before))
    must(TOKENS[-1].get("refresh_token") not in {None, before}, "the refresh token does not rotate")
    return found


def refused(token):
    try:
        CLIENT.refresh_token(ENDPOINTS["token_endpoint"], refresh_token=token["refresh_token"])
    except OAuthError as error:
        must(error.error == "invalid_grant", f"refused as {error.error}")
        return
    must(False, "a refresh token is good that should be refused as invalid_grant")


def introspection(token):
    asker = session_of(INPUT["resource_server"])
    response = asker.introspect_token(SERVER["introspection_endpoint"], token=token["access_token"])
    must(response.ok, f"the introspection is answered by {response.status_code}")
    return response.json()


def is_over():
    refused(TOKENS[-1])
    if "resource_server" in INPUT:
        must(introspection(TOKENS[-1])["active"] is False, "the access token is still active")


def reuse():
    """The token before the last one: the last one could be a lost answer that is asked for again."""
    while len(TOKENS) < 3:
        refresh()
    refused(TOKENS[0])
    is_over()


def thumbprint(file):
    """RFC 8705 §3.1."""
    der = ssl.PEM_cert_to_DER_cert(pathlib.Path(file).read_text())
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def introspect():
    said = introspection(TOKENS[-1])
    must(said["active"] is True, "the access token is not active")
    certificate = INPUT["client"].get("certificate")
    wanted = {"x5t#S256": thumbprint(certificate)} if certificate else None
    must(said.get("cnf") == wanted, f"cnf is {said.get('cnf')}")
    return {"members": sorted(said)}


def revoke():
    response = CLIENT.revoke_token(ENDPOINTS["revocation_endpoint"], token=TOKENS[-1]["refresh_token"])
    must(response.ok, f"the revocation is answered by {response.status_code}")
    is_over()


STEPS = [authorize, resource, refresh, reuse, introspect, revoke, client_credentials]
judge("authlib", {step.__name__: step for step in STEPS})
