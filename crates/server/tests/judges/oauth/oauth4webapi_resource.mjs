// Judge: npm `oauth4webapi` as a resource server that verifies access tokens by itself (RFC 9068, RFC 9449 §7), and as the
// client that brings them. Its input, besides what judge.mjs says:
//   scope, audience   of the token; the audience is the `resource` (RFC 8707) and a URL below which the resource server is
//
// Step: verify
import * as oauth from "oauth4webapi";
import { fetchFor, input, judge, must, signingKey } from "./judge.mjs";

const fetch = fetchFor(input.client);
const issuer = new URL(input.issuer);
const discovered = await oauth.processDiscoveryResponse(
  issuer,
  await oauth.discoveryRequest(issuer, { algorithm: "oauth2", [oauth.customFetch]: fetch }),
);
const client = { client_id: input.client.id };
const auth = oauth.PrivateKeyJwt(await signingKey(input.client.jwk));

/** A token for the audience, bound to the key of `DPoP`. */
async function token(DPoP) {
  const options = { DPoP, [oauth.customFetch]: fetch };
  const ask = async () =>
    oauth.processClientCredentialsResponse(
      discovered,
      client,
      await oauth.clientCredentialsGrantRequest(
        discovered, client, auth, { scope: input.scope, resource: input.audience }, options),
    );
  try {
    return await ask();
  } catch (error) {
    if (!oauth.isDPoPNonceError(error)) throw error;
    return ask();
  }
}

/** The request that a client would send to the resource server. */
async function request(accessToken, DPoP) {
  let sent;
  const keep = async (url, { method, headers }) => {
    sent = new Request(url, { method, headers });
    return new Response("");
  };
  await oauth.protectedResourceRequest(accessToken, "GET", new URL(`${input.audience}/documents`), undefined, undefined, {
    DPoP,
    [oauth.customFetch]: keep,
  });
  return sent;
}

function verified(sent, audience) {
  return oauth.validateJwtAccessToken(discovered, sent, audience, {
    requireDPoP: true,
    signingAlgorithms: ["ES256", "EdDSA"],
    [oauth.customFetch]: fetch,
  });
}

async function refused(what, promise) {
  const found = await promise.then(() => "taken", (error) => error);
  must(found instanceof Error, `${what} is taken`);
}

await judge("oauth4webapi as a resource server", {
  async verify() {
    const key = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
    const thief = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
    const { access_token: accessToken, expires_in: expiresIn } = await token(key);
    const claims = await verified(await request(accessToken, key), input.audience);
    await refused("another audience", verified(await request(accessToken, key), "https://other.example"));
    await refused("the proof of another key", verified(await request(accessToken, thief), input.audience));
    const [header, payload, signature] = accessToken.split(".");
    const changed = Buffer.from(JSON.stringify({ ...claims, scope: "admin:clients" })).toString("base64url");
    await refused("another payload", verified(await request(`${header}.${changed}.${signature}`, key), input.audience));
    must(payload !== changed, "the payload was not changed");
    return { claims, access_token: accessToken, expires_in: expiresIn };
  },
});
