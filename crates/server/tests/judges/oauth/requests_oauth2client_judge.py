"""Judge: PyPI `requests_oauth2client`. Its input, besides what judge.mjs says:

redirect_uri, scope, parameters, resource   as for oauth4webapi.mjs
dpop                                        whether tokens are bound by DPoP (default true)

Steps: authorize · resource · refresh · reuse · introspect · revoke · client_credentials
"""

import requests
from requests_oauth2client import (
    BearerToken,
    DPoPToken,
    InvalidGrant,
    OAuth2Client,
    PrivateKeyJwt,
    PublicApp,
    RequestUriParameterAuthorizationRequest,
)

from judge import INPUT, judge, metadata, must, open_page, prepare

IS_DPOP = INPUT.get("dpop", True)


def client_of(described):
    """The library's client, with every endpoint as the metadata name it."""
    session = prepare(requests.Session(), described)
    if described["method"] == "private_key_jwt":
        auth = PrivateKeyJwt(described["id"], described["jwk"], alg="ES256", aud=INPUT["issuer"])
    else:
        auth = PublicApp(described["id"])
    found = metadata(described)
    keys = session.get(found["jwks_uri"]).json()
    return OAuth2Client.from_discovery_document(
        found,
        INPUT["issuer"],
        auth=auth,
        authorization_server_jwks=keys,
        session=session,
        redirect_uri=INPUT.get("redirect_uri"),
        dpop_bound_access_tokens=IS_DPOP,
        dpop_alg="ES256",
        id_token_signed_response_alg="ES256",
    )


CLIENT = client_of(INPUT["client"])
TOKENS: list[BearerToken] = []


def keep(token):
    wanted = DPoPToken if IS_DPOP else BearerToken
    must(type(token) is wanted, f"the token is a {type(token).__name__}")
    must(token.token_type == wanted.TOKEN_TYPE, f"the token is of the type {token.token_type}")
    TOKENS.append(token)
    return {"scope": token.scope, "expires_in": token.expires_in}


def client_credentials():
    found = keep(CLIENT.client_credentials(scope=INPUT["scope"]))
    must(TOKENS[-1].refresh_token is None, "there is a refresh token (RFC 6749 §4.4.3)")
    return found


def authorize():
    # The library does not take this over from the metadata: an answer without `iss` shall fail.
    given = {"authorization_response_iss_parameter_supported": True, **INPUT.get("parameters", {})}
    request = CLIENT.authorization_request(scope=INPUT["scope"], **given)
    pushed = CLIENT.pushed_authorization_request(request)
    must(isinstance(pushed, RequestUriParameterAuthorizationRequest), "the request was not taken")
    answered = request.validate_callback(open_page(pushed.uri))
    TOKENS.clear()
    token = CLIENT.authorization_code(answered, validate=False)
    if "openid" in INPUT["scope"].split():
        # The library does not validate the ID token of a DPoPToken, but of the same as a BearerToken.
        BearerToken(token.access_token, id_token=token.id_token).validate_id_token(CLIENT, answered)
    return keep(token)


def resource():
    response = requests.Session.get(CLIENT.session, INPUT["resource"], auth=TOKENS[-1])
    must(response.ok, f"the resource answers {response.status_code}")
    return {"status": response.status_code}


def refresh():
    before = TOKENS[-1]
    found = keep(CLIENT.refresh_token(before))
    must(TOKENS[-1].refresh_token not in {None, before.refresh_token}, "the refresh token does not rotate")
    return found


def refused(token):
    try:
        CLIENT.refresh_token(token)
    except InvalidGrant:
        return
    must(False, "a refresh token is good that should be refused as invalid_grant")


def is_over():
    refused(TOKENS[-1])
    if "resource_server" in INPUT:
        said = client_of(INPUT["resource_server"]).introspect_token(TOKENS[-1])
        must(said["active"] is False, "the access token is still active")


def reuse():
    """The token before the last one: the last one could be a lost answer that is asked for again."""
    while len(TOKENS) < 3:
        refresh()
    refused(TOKENS[0])
    is_over()


def introspect():
    said = client_of(INPUT["resource_server"]).introspect_token(TOKENS[-1])
    must(said["active"] is True, "the access token is not active")
    if IS_DPOP:
        must(said.get("cnf") == {"jkt": TOKENS[-1].dpop_key.dpop_jkt}, f"cnf is {said.get('cnf')}")
    return {"members": sorted(said)}


def revoke():
    must(CLIENT.revoke_refresh_token(TOKENS[-1]) is True, "the revocation was refused")
    is_over()


STEPS = [authorize, resource, refresh, reuse, introspect, revoke, client_credentials]
judge("requests_oauth2client", {step.__name__: step for step in STEPS})
