// Judge: npm `oauth4webapi`, which checks every answer against its standard. Its input, besides what judge.mjs says:
//   algorithm     "oauth2" (RFC 8414, the default) or "oidc": where the metadata are
//   redirect_uri, scope                of the authorization
//   parameters    more parameters of the authorization request, as `authorization_details` or `acr_values`
//   dpop          whether tokens are bound by DPoP (default true); otherwise by the client's certificate
//   resource      URL that wants a bound token of that scope
//   step_up       { url, acr_values }: a URL that refuses the first token for its authentication (RFC 9470)
//   rotates       whether refresh tokens rotate (default true)
//   introspection  { response }: members that the answers must have
//
// Steps: authorize · resource · refresh · reuse · introspect · introspect_jwt · revoke · step_up · client_credentials
import { X509Certificate, createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as oauth from "oauth4webapi";
import { fetchFor, input, judge, must, open, signingKey } from "./judge.mjs";

const IS_OIDC = input.algorithm === "oidc";
const IS_DPOP = input.dpop ?? true;
const fetches = { client: fetchFor(input.client), resourceServer: fetchFor(input.resource_server) };

/** The library's client and its way to authenticate. */
async function party(described) {
  const client = { client_id: described.id, use_mtls_endpoint_aliases: described.certificate !== undefined };
  const methods = {
    none: () => oauth.None(),
    private_key_jwt: async () => oauth.PrivateKeyJwt(await signingKey(described.jwk)),
    self_signed_tls_client_auth: () => oauth.TlsClientAuth(),
    tls_client_auth: () => oauth.TlsClientAuth(),
  };
  must(described.method in methods, `the judge does not authenticate by ${described.method}`);
  return { client, auth: await methods[described.method]() };
}

const issuer = new URL(input.issuer);
const discovered = await oauth
  .discoveryRequest(issuer, { algorithm: IS_OIDC ? "oidc" : "oauth2", [oauth.customFetch]: fetches.client })
  .then((response) => oauth.processDiscoveryResponse(issuer, response))
  .catch((error) => ({ failure: error }));

const { client, auth } = await party(input.client);
const dpopKey = await oauth.generateKeyPair("ES256");
const options = { ...(IS_DPOP ? { DPoP: oauth.DPoP(client, dpopKey) } : {}), [oauth.customFetch]: fetches.client };

function checkType({ token_type: type }) {
  const wanted = IS_DPOP ? "dpop" : "bearer";
  must(type === wanted, `the token is of the type ${type}, not ${wanted}`);
}

/** What the token must be bound to, as introspection says it (RFC 9449 §6, RFC 8705 §3.2). */
async function confirmation() {
  const hash = (bytes) => createHash("sha256").update(bytes).digest("base64url");
  if (!IS_DPOP) return { "x5t#S256": hash(new X509Certificate(readFileSync(input.client.certificate)).raw) };
  const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", dpopKey.publicKey);
  return { jkt: hash(JSON.stringify({ crv, kty, x, y })) };
}

let nonceRetries = 0;
/** Does `ask` once more if the server wants its nonce in the proof (RFC 9449 §8, §9). The second time it must do. */
async function withNonce(ask) {
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    nonceRetries += 1;
    return ask();
  }
}

/** Runs `ask`, which the server has to refuse with this error. */
async function refused(error, ask) {
  try {
    await withNonce(ask);
  } catch (found) {
    must(found instanceof oauth.ResponseBodyError, `not an error of RFC 6749 §5.2: ${found.message}`);
    must(found.error === error, `refused as ${found.error}, not as ${error}`);
    return;
  }
  throw new Error(`was done, and should be refused as ${error}`);
}

/** What the steps hand on. */
const state = { tokens: undefined, spent: [] };

/** PAR with DPoP, the person's part, the code grant. */
async function authorization(more = {}) {
  const verifier = oauth.generateRandomCodeVerifier();
  const sent = {
    client_id: client.client_id,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: "S256",
    redirect_uri: input.redirect_uri,
    response_type: "code",
    scope: input.scope,
    state: oauth.generateRandomState(),
    ...(IS_OIDC ? { nonce: oauth.generateRandomNonce() } : {}),
    ...input.parameters,
    ...more,
  };
  const pushed = await withNonce(async () =>
    oauth.processPushedAuthorizationResponse(
      discovered,
      client,
      await oauth.pushedAuthorizationRequest(discovered, client, auth, sent, options),
    ));
  const url = new URL(discovered.authorization_endpoint);
  url.searchParams.set("client_id", client.client_id);
  url.searchParams.set("request_uri", pushed.request_uri);
  const back = await open(url);
  must(back.href.startsWith(input.redirect_uri), `the person was sent to ${back.origin}${back.pathname}`);
  must(back.searchParams.get("iss") === discovered.issuer, "the response does not say its issuer (RFC 9207 §2)");
  const answered = oauth.validateAuthResponse(discovered, client, back, sent.state);
  const redeem = async () =>
    oauth.processAuthorizationCodeResponse(
      discovered,
      client,
      await oauth.authorizationCodeGrantRequest(discovered, client, auth, answered, input.redirect_uri, verifier, options),
      IS_OIDC ? { expectedNonce: sent.nonce, requireIdToken: true } : {},
    );
  state.tokens = await withNonce(redeem);
  state.spent = [];
  checkType(state.tokens);
  return { pushed_expires_in: pushed.expires_in, expires_in: state.tokens.expires_in, scope: state.tokens.scope };
}

/** Calls a protected resource with the access token; throws what its challenge says. */
function call(url) {
  return withNonce(() =>
    oauth.protectedResourceRequest(state.tokens.access_token, "GET", new URL(url), undefined, undefined, options));
}

/** Whether the refresh and the access token of now are of no use. */
async function isOver() {
  await refused("invalid_grant", () => refresh(state.tokens.refresh_token));
  if (input.resource_server) {
    const { active } = await introspection(state.tokens.access_token, false);
    must(active === false, "the access token is still active");
  }
}

async function refresh(token) {
  const response = await oauth.refreshTokenGrantRequest(discovered, client, auth, token, options);
  return oauth.processRefreshTokenResponse(discovered, client, response);
}

async function rotate() {
  const { refresh_token: before, access_token: accessBefore } = state.tokens;
  const tokens = await withNonce(() => refresh(before));
  must(tokens.access_token !== accessBefore, "the access token is the same");
  checkType(tokens);
  const isNew = tokens.refresh_token !== undefined && tokens.refresh_token !== before;
  must(isNew === (input.rotates ?? true), isNew ? "the refresh token rotates" : "the refresh token does not rotate");
  if (isNew) state.spent.push(before);
  state.tokens = { ...state.tokens, ...tokens };
  return tokens;
}

async function introspection(token, isSigned) {
  const asker = await party(input.resource_server);
  const asking = { requestJwtResponse: isSigned, [oauth.customFetch]: fetches.resourceServer };
  const response = await oauth.introspectionRequest(discovered, asker.client, asker.auth, token, asking);
  const kept = response.clone();
  const said = await oauth.processIntrospectionResponse(discovered, asker.client, response);
  if (isSigned) {
    must(kept.headers.get("content-type")?.startsWith("application/token-introspection+jwt"), "the answer is not signed");
    await oauth.validateApplicationLevelSignature(discovered, response, { [oauth.customFetch]: fetches.resourceServer });
  }
  return said;
}

/** Introspects the access token, and holds the answer against the key that it is bound to and against the input. */
async function introspected(isSigned) {
  const said = await introspection(state.tokens.access_token, isSigned);
  must(said.active === true, "the access token is not active");
  const wanted = await confirmation();
  must(JSON.stringify(said.cnf) === JSON.stringify(wanted), `the token is not bound as it should be: cnf is ${JSON.stringify(said.cnf)}`);
  for (const [name, value] of Object.entries(input.introspection?.response ?? {})) {
    must(JSON.stringify(said[name]) === JSON.stringify(value), `${name} is ${JSON.stringify(said[name])}`);
  }
  const unknown = await introspection("unknown", isSigned);
  must(unknown.active === false && Object.keys(unknown).every((name) => ["active", "iss", "aud", "iat"].includes(name)),
    "an unknown token gets more than an inactive one (RFC 7662 §2.2)");
  return { members: Object.keys(said).sort() };
}

await judge("oauth4webapi", {
  async authorize() {
    if (discovered.failure) throw discovered.failure;
    must(discovered.authorization_response_iss_parameter_supported === true, "the metadata do not announce `iss`");
    return { ...(await authorization()), nonce_retries: nonceRetries };
  },

  async client_credentials() {
    if (discovered.failure) throw discovered.failure;
    const ask = async () =>
      oauth.processClientCredentialsResponse(
        discovered,
        client,
        await oauth.clientCredentialsGrantRequest(discovered, client, auth, { scope: input.scope }, options),
      );
    state.tokens = await withNonce(ask);
    checkType(state.tokens);
    must(state.tokens.refresh_token === undefined, "there is a refresh token (RFC 6749 §4.4.3)");
    return { expires_in: state.tokens.expires_in, scope: state.tokens.scope };
  },

  async resource() {
    const before = nonceRetries;
    const response = await call(input.resource);
    must(response.ok, `the resource answers ${response.status}`);
    return { status: response.status, nonce_retries: nonceRetries - before };
  },

  async refresh() {
    const tokens = await rotate();
    return { expires_in: tokens.expires_in, scope: tokens.scope };
  },

  // The token before the last one: the last one could be a lost answer that is asked for again.
  async reuse() {
    while (state.spent.length < 2) await rotate();
    await refused("invalid_grant", () => refresh(state.spent[0]));
    await isOver();
    return {};
  },

  introspect: () => introspected(false),
  introspect_jwt: () => introspected(true),

  async revoke() {
    const revoke = async (token) =>
      oauth.processRevocationResponse(await oauth.revocationRequest(discovered, client, auth, token, options));
    await revoke(state.tokens.refresh_token);
    await isOver();
    await revoke("unknown");
    return {};
  },

  async step_up() {
    const { url, acr_values: expected } = input.step_up;
    let challenge;
    try {
      await call(url);
    } catch (error) {
      must(error instanceof oauth.WWWAuthenticateChallengeError, error.message);
      challenge = error.cause.find(({ scheme }) => scheme === "dpop") ?? error.cause[0];
      must(error.status === 401, `the resource answers ${error.status}`);
    }
    must(challenge !== undefined, "the first token is enough");
    const { error, acr_values: wanted, max_age: maxAge } = challenge.parameters;
    must(error === "insufficient_user_authentication", `the challenge is ${error}`);
    must(expected === undefined || wanted === expected, `the challenge wants acr_values ${wanted}`);
    await authorization({
      ...(wanted === undefined ? {} : { acr_values: wanted }),
      ...(maxAge === undefined ? {} : { max_age: maxAge }),
    });
    const response = await call(url);
    must(response.ok, `after the step up, the resource answers ${response.status}`);
    return { acr_values: wanted, max_age: maxAge };
  },
});
