// Judge: npm `openid-client`, the way most programs on Node talk to a server. Its input, besides what judge.mjs says:
//   algorithm     "oauth2" (RFC 8414) or "oidc" (the default), which validates an ID token
//   redirect_uri, scope, parameters, resource, rotates   as for oauth4webapi.mjs
//   dpop          whether tokens are bound by DPoP (default true); otherwise by the client's certificate, or not at all
//   signed        whether the introspection is answered by a signed JWT (RFC 9701)
//
// Steps: authorize · resource · refresh · reuse · introspect · revoke · client_credentials
import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as client from "openid-client";
import { fetchFor, input, judge, must, open, signingKey } from "./judge.mjs";

const IS_OIDC = (input.algorithm ?? "oidc") === "oidc";
const IS_MTLS = ["tls_client_auth", "self_signed_tls_client_auth"].includes(input.client.method);
const IS_DPOP = input.dpop ?? true;

async function authentication({ method, jwk }) {
  if (method === "none") return client.None();
  if (method !== "private_key_jwt") return client.TlsClientAuth();
  return client.PrivateKeyJwt(await signingKey(jwk));
}

async function configuration(described, metadata = {}) {
  const isMtls = described.certificate !== undefined;
  const found = await client.discovery(
    new URL(input.issuer),
    described.id,
    { use_mtls_endpoint_aliases: isMtls, ...metadata },
    await authentication(described),
    { algorithm: IS_OIDC ? "oidc" : "oauth2", [client.customFetch]: fetchFor(described) },
  );
  // Signatures of ID tokens and of introspections are checked by the keys of the server, not left to TLS.
  client.enableNonRepudiationChecks(found);
  return found;
}

const state = { config: undefined, options: undefined, key: undefined, tokens: undefined, spent: [] };

async function ready() {
  if (state.config !== undefined) return;
  state.config = await configuration(input.client);
  if (IS_DPOP) {
    state.key = await client.randomDPoPKeyPair("ES256");
    state.options = { DPoP: client.getDPoPHandle(state.config, state.key) };
  }
}

/** What the token must be bound to, as introspection and JWT access tokens say it (RFC 9449 §6, RFC 8705 §3). */
async function confirmation() {
  const hash = (bytes) => createHash("sha256").update(bytes).digest("base64url");
  if (IS_DPOP) {
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", state.key.publicKey);
    return { jkt: hash(JSON.stringify({ crv, kty, x, y })) };
  }
  if (!input.client.certificate) return undefined;
  return { "x5t#S256": hash(new X509Certificate(readFileSync(input.client.certificate)).raw) };
}

function checkType() {
  const wanted = IS_DPOP ? "dpop" : "bearer";
  must(state.tokens.token_type === wanted, `the token is of the type ${state.tokens.token_type}, not ${wanted}`);
}

/** Runs `ask`, which the server has to refuse with this error. */
async function refused(error, ask) {
  try {
    await ask();
  } catch (found) {
    must(found.error === error, `refused as ${found.error ?? found.message}, not as ${error}`);
    return;
  }
  throw new Error(`was done, and should be refused as ${error}`);
}

const refresh = (token) => client.refreshTokenGrant(state.config, token, undefined, state.options);

async function rotate() {
  const before = state.tokens.refresh_token;
  const tokens = await refresh(before);
  const isNew = tokens.refresh_token !== undefined && tokens.refresh_token !== before;
  must(isNew === (input.rotates ?? true), isNew ? "the refresh token rotates" : "the refresh token does not rotate");
  if (isNew) state.spent.push(before);
  state.tokens = { ...state.tokens, ...tokens };
  checkType();
  return tokens;
}

async function introspection(token) {
  const signing = input.signed ? { introspection_signed_response_alg: "ES256" } : {};
  state.introspecting ??= await configuration(input.resource_server, signing);
  return client.tokenIntrospection(state.introspecting, token);
}

async function isOver() {
  await refused("invalid_grant", () => refresh(state.tokens.refresh_token));
  if (input.resource_server) {
    must((await introspection(state.tokens.access_token)).active === false, "the access token is still active");
  }
}

await judge("openid-client", {
  async authorize() {
    await ready();
    const { config, options } = state;
    const verifier = client.randomPKCECodeVerifier();
    const sent = {
      code_challenge: await client.calculatePKCECodeChallenge(verifier),
      code_challenge_method: "S256",
      redirect_uri: input.redirect_uri,
      scope: input.scope,
      state: client.randomState(),
      ...(IS_OIDC ? { nonce: client.randomNonce() } : {}),
      ...input.parameters,
    };
    const url = await client.buildAuthorizationUrlWithPAR(config, sent, options);
    const checks = {
      expectedNonce: sent.nonce,
      expectedState: sent.state,
      idTokenExpected: IS_OIDC,
      pkceCodeVerifier: verifier,
      ...(sent.max_age === undefined ? {} : { maxAge: Number(sent.max_age) }),
    };
    state.tokens = await client.authorizationCodeGrant(config, await open(url), checks, undefined, options);
    state.spent = [];
    checkType();
    const claims = state.tokens.claims();
    must(!IS_OIDC || claims?.aud === input.client.id, `the ID token is for ${JSON.stringify(claims?.aud)}`);
    return { scope: state.tokens.scope, expires_in: state.tokens.expires_in, claims: Object.keys(claims ?? {}).sort() };
  },

  async client_credentials() {
    await ready();
    state.tokens = await client.clientCredentialsGrant(state.config, { scope: input.scope }, state.options);
    checkType();
    must(state.tokens.refresh_token === undefined, "there is a refresh token (RFC 6749 §4.4.3)");
    const { mtls_endpoint_aliases: aliases } = state.config.serverMetadata();
    must(!IS_MTLS || aliases?.token_endpoint !== undefined, "there is no alias of the token endpoint (RFC 8705 §5)");
    return { scope: state.tokens.scope, expires_in: state.tokens.expires_in };
  },

  async resource() {
    const url = new URL(input.resource);
    const { access_token: token } = state.tokens;
    const response = await client.fetchProtectedResource(state.config, token, url, "GET", null, new Headers(), state.options);
    must(response.ok, `the resource answers ${response.status}`);
    return { status: response.status };
  },

  async refresh() {
    const tokens = await rotate();
    return { scope: tokens.scope, expires_in: tokens.expires_in };
  },

  async reuse() {
    while (state.spent.length < 2) await rotate();
    await refused("invalid_grant", () => refresh(state.spent[0]));
    await isOver();
    return {};
  },

  async introspect() {
    const said = await introspection(state.tokens.access_token);
    must(said.active === true, "the access token is not active");
    const wanted = await confirmation();
    must(JSON.stringify(said.cnf) === JSON.stringify(wanted), `cnf is ${JSON.stringify(said.cnf)}`);
    return { members: Object.keys(said).sort() };
  },

  async revoke() {
    await client.tokenRevocation(state.config, state.tokens.refresh_token);
    await isOver();
    return {};
  },
});
