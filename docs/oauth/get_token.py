"""Gets an access token from Countersign and lists envelopes, or calls something else, with it; docs/oauth.md explains each step.

It needs Python 3.9 or newer and the package `cryptography`.
"""

import argparse, base64, hashlib, json, secrets, ssl, sys, time, urllib.error, urllib.parse, urllib.request
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(key, header, claims):
    text = ".".join(base64url(json.dumps(part).encode()) for part in (header, claims))
    r, s = utils.decode_dss_signature(key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{base64url(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}"


def once():
    return {"jti": secrets.token_urlsafe(16), "iat": int(time.time())}


def assertion():
    claims = {"iss": asked.client, "sub": asked.client, "aud": server["issuer"], "exp": int(time.time()) + 60}
    return signed(key, {"alg": "ES256", "kid": jwk["kid"]}, claims | once())


def proof(method, url, token):
    claims = {"htm": method, "htu": url.partition("?")[0]} | once()
    claims |= {"nonce": nonce} if nonce else {}
    claims |= {"ath": base64url(hashlib.sha256(token.encode()).digest())} if token else {}
    point = dpop_key.public_key().public_numbers()
    public = {name: base64url(getattr(point, name).to_bytes(32, "big")) for name in "xy"}
    return signed(dpop_key, {"alg": "ES256", "typ": "dpop+jwt", "jwk": {"kty": "EC", "crv": "P-256"} | public}, claims)


def send(method, url, form=None, token=None, more={}, text=None):
    global nonce
    for _ in range(2):  # a second time with the nonce that the first answer brought
        headers = {"DPoP": proof(method, url, token)} | ({"Authorization": f"DPoP {token}"} if token else {}) | more
        body = urllib.parse.urlencode(form()).encode() if form else text
        try:
            answer = urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), context=tls)
        except urllib.error.HTTPError as refused:
            answer = refused
        before, nonce = nonce, answer.headers.get("DPoP-Nonce", nonce)
        if answer.status < 400:
            return json.load(answer)
        if nonce == before:
            break
    sys.exit(f"{method} {url}: {answer.status} {answer.read().decode()}")


parser = argparse.ArgumentParser(description="Gets an access token from Countersign and lists envelopes with it.")
for name in ("server", "ca", "client", "key", "scope"):  # `--ca` where the machine does not trust the server's CA
    parser.add_argument(f"--{name}", required=name != "ca")
parser.add_argument("--call", help="calls this instead, like `POST /v1/…`, and prints its answer alone")
parser.add_argument("--body", help="the JSON that is sent with it")
asked = parser.parse_args()
tls = ssl.create_default_context(cafile=asked.ca)
metadata = urllib.request.urlopen(f"{asked.server}/.well-known/oauth-authorization-server", context=tls)
server, nonce = json.load(metadata), None
jwk = json.load(open(asked.key))
key = ec.derive_private_key(int.from_bytes(base64.urlsafe_b64decode(jwk["d"] + "=="), "big"), ec.SECP256R1())
dpop_key = ec.generate_private_key(ec.SECP256R1())


def form():
    kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
    what = {"grant_type": "client_credentials", "scope": asked.scope}
    return what | {"client_assertion_type": kind, "client_assertion": assertion()}


granted = send("POST", server["token_endpoint"], form)
method, _, path = (asked.call or "GET /v1/envelopes").partition(" ")
more = {} if method == "GET" else {"Idempotency-Key": secrets.token_urlsafe(16)}
more |= {"Content-Type": "application/json"} if asked.body else {}
text = asked.body.encode() if asked.body else None
if not asked.call:
    print(json.dumps(granted))
print(json.dumps(send(method, server["issuer"] + path, token=granted["access_token"], more=more, text=text)))
