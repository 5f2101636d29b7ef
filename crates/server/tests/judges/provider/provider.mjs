// An OpenID provider for the tests: npm oidc-provider over TLS on the loopback address. It signs in whom the test names.
// node provider.mjs '{"port": …, "certificate": FILE, "key": FILE, "client": METADATA}'
// Prints `serving`, and serves until its standard input ends. `/control` says who signs in, with which class, and how far
// its clock is ahead; `/count` how often somebody signed in.
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";

// Written for Node 22; all that it misses in Node 20 is this function of the URL standard.
URL.parse ??= (url, base) => {
  try {
    return new URL(url, base);
  } catch {
    return null;
  }
};

// The test moves the clock of this process as it moves that of the server.
const Machine = Date;
let offsetMs = 0;
globalThis.Date = class extends Machine {
  constructor(...given) {
    if (given.length) super(...given);
    else super(Machine.now() + offsetMs);
  }

  static now() {
    return Machine.now() + offsetMs;
  }
};

const { default: Provider } = await import("oidc-provider");
const { port, certificate, key, client } = JSON.parse(process.argv[2]);
const issuer = `https://localhost:${port}`;
const signing = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });
let now = { account: "nobody", acr: "bronze" };
let count = 0;

const provider = new Provider(issuer, {
  acrValues: ["bronze", "silver", "gold"],
  claims: { openid: ["sub"], acr: null, auth_time: null, iss: null },
  clients: [client],
  clientAuthMethods: ["private_key_jwt"],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  cookies: { keys: [randomBytes(32).toString("base64url")] },
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"], idTokenSigningAlgValues: ["ES256"] },
  features: { devInteractions: { enabled: false }, userinfo: { enabled: false } },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  interactions: { url: (_context, interaction) => `/interaction/${interaction.uid}` },
  jwks: { keys: [{ ...signing, alg: "ES256", use: "sig", kid: "test" }] },
  async loadExistingGrant(context) {
    const { client: asking, session } = context.oidc;
    const grant = new provider.Grant({ clientId: asking.clientId, accountId: session.accountId });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
  pkce: { required: () => true },
  responseTypes: ["code"],
});
const serve = provider.callback();

createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, async (request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/control") {
    now = { account: url.searchParams.get("account"), acr: url.searchParams.get("acr") };
    offsetMs = Number(url.searchParams.get("offset_s")) * 1_000;
    response.end();
  } else if (url.pathname === "/count") {
    response.end(String(count));
  } else if (url.pathname.startsWith("/interaction/")) {
    const { prompt } = await provider.interactionDetails(request, response);
    if (prompt.name !== "login") {
      response.statusCode = 500;
      response.end(JSON.stringify(prompt));
      return;
    }
    count += 1;
    const login = { accountId: now.account, acr: now.acr, ts: Math.floor(Date.now() / 1_000) };
    await provider.interactionFinished(request, response, { login }, { mergeWithLastSubmission: false });
  } else {
    serve(request, response);
  }
}).listen(port, "127.0.0.1", () => console.log("serving"));
process.stdin.resume().on("end", () => process.exit());
