// Judges the judges: oidc-provider stands in for our server, and each judge has to find it good. Then it is broken in one
// way after another, and each judge that looks there has to say so.
// node stand_in.mjs PYTHON [WORDS]   — beside a `node_modules`; only runs whose name has these words, as `good`
import { execFileSync, spawn } from "node:child_process";
import { X509Certificate, generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Agent, fetch } from "undici";

// All that oidc-provider 9, written for Node 22, misses in Node 20.
URL.parse ??= (url, base) => (URL.canParse(url, base) ? new URL(url, base) : null);
const { default: Provider } = await import("oidc-provider");

const PYTHON = process.argv[2];
const ISSUER = "https://sign.test";
const BACK = "https://client.test/back";
const STRONG = "urn:example:strong";
const HERE = dirname(fileURLToPath(import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "countersign-judges-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const file = (name) => join(folder, name);
const openssl = (...words) => execFileSync("openssl", words, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });

/** A certificate of P-256 with its key, by the CA or by itself. */
function certificate(name, subject, ...more) {
  const by = more.includes("-CA") ? [] : ["-days", "2"];
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject,
    "-keyout", `${name}-key.pem`, "-out", `${name}.pem`, ...by, ...more);
}
const BY_CA = ["-CA", "ca.pem", "-CAkey", "ca-key.pem", "-days", "2", "-addext", "basicConstraints=critical,CA:FALSE"];
certificate("ca", "/CN=Stand-in CA", "-addext", "keyUsage=critical,keyCertSign");
certificate("server", "/CN=sign.test", ...BY_CA, "-addext", "subjectAltName=DNS:sign.test");
certificate("by-ca", "/CN=by-ca", ...BY_CA);
certificate("by-itself", "/CN=by-itself");

function keyOf(kid) {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return { secret: { ...privateKey.export({ format: "jwk" }), kid, alg: "ES256" }, open: { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" } };
}
const keys = { integrator: keyOf("integrator"), plain: keyOf("plain"), resource: keyOf("resource") };
const byItself = new X509Certificate(readFileSync(file("by-itself.pem")));
const byItselfJwk = { ...byItself.publicKey.export({ format: "jwk" }), kid: "x", use: "sig", x5c: [byItself.raw.toString("base64")] };

const everything = {
  grant_types: ["authorization_code", "refresh_token", "client_credentials"],
  redirect_uris: [BACK],
  response_types: ["code"],
  scope: "openid offline_access read",
};
const byKey = { token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256" };
const bound = { tls_client_certificate_bound_access_tokens: true };
const clients = [
  { client_id: "integrator", ...everything, ...byKey, jwks: { keys: [keys.integrator.open] }, dpop_bound_access_tokens: true, require_pushed_authorization_requests: true },
  { client_id: "plain", ...everything, ...byKey, jwks: { keys: [keys.plain.open] } },
  { client_id: "by-ca", ...everything, ...bound, token_endpoint_auth_method: "tls_client_auth", tls_client_auth_subject_dn: "CN=by-ca" },
  { client_id: "by-itself", ...everything, ...bound, token_endpoint_auth_method: "self_signed_tls_client_auth", jwks: { keys: [byItselfJwk] } },
  { client_id: "resource", grant_types: [], redirect_uris: [], response_types: [], ...byKey, jwks: { keys: [keys.resource.open] } },
];

/** How the stand-in is broken; empty when it is good. */
let broken = new Set();

/** A new provider, so that nothing is kept. */
function provider() {
  const levels = new Map();
  const made = new Provider(ISSUER, {
    acrValues: [STRONG],
    clients,
    clientAuthMethods: ["private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"],
    clientDefaults: { id_token_signed_response_alg: "ES256", introspection_signed_response_alg: "ES256" },
    cookies: { keys: [randomBytes(32).toString("hex")] },
    discovery: { mtls_endpoint_aliases: Object.fromEntries(["token", "revocation", "introspection", "pushed_authorization_request"].map((name) => {
      const path = { token: "token", revocation: "token/revocation", introspection: "token/introspection", pushed_authorization_request: "request" }[name];
      return [`${name}_endpoint`, `${ISSUER}/${path}`];
    })) },
    enabledJWA: { clientAuthSigningAlgValues: ["ES256"], dPoPSigningAlgValues: ["ES256"], idTokenSigningAlgValues: ["ES256"], introspectionSigningAlgValues: ["ES256"] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
      introspection: { enabled: true },
      jwtIntrospection: { enabled: true },
      mTLS: {
        enabled: true,
        certificateBoundAccessTokens: true,
        selfSignedTlsClientAuth: true,
        tlsClientAuth: true,
        certificateAuthorized: (ctx) => ctx.socket.authorized,
        certificateSubjectMatches: (ctx, property, expected) =>
          property === "tls_client_auth_subject_dn" && ctx.socket.getPeerX509Certificate().subject === expected,
        getCertificate: (ctx) => ctx.socket.getPeerX509Certificate()?.toString(),
      },
      pushedAuthorizationRequests: { enabled: true },
      resourceIndicators: { enabled: false },
      revocation: { enabled: true },
    },
    findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed("refresh_token"),
    jwks: { keys: [{ ...keyOf("server").secret, use: "sig" }] },
    // Whoever logs in has consented.
    async loadExistingGrant(ctx) {
      const grant = new ctx.oidc.provider.Grant({ accountId: ctx.oidc.session.accountId, clientId: ctx.oidc.client.clientId });
      grant.addOIDCScope(ctx.oidc.params.scope);
      levels.set(await grant.save(), ctx.oidc.params.acr_values);
      return grant;
    },
    rotateRefreshToken: () => !broken.has("no rotation"),
    scopes: ["openid", "offline_access", "read"],
  });
  made.use(async (ctx, next) => {
    if (ctx.path.startsWith("/interaction/")) {
      const result = { login: { accountId: "person", acr: STRONG }, consent: {} };
      ctx.redirect(await made.interactionResult(ctx.req, ctx.res, result));
    } else if (ctx.path === "/strong") {
      const token = await made.AccessToken.find(ctx.get("authorization").split(" ")[1]);
      if (levels.get(token?.grantId) === STRONG || broken.has("no challenge")) {
        ctx.body = "done";
      } else {
        ctx.status = 401;
        ctx.set("WWW-Authenticate", `DPoP error="insufficient_user_authentication", acr_values="${STRONG}"`);
      }
    } else {
      await next();
      breakAnswer(ctx);
    }
  });
  if (broken.has("reuse is good")) made.RefreshToken.prototype.consume = async () => {};
  return made.callback();
}

/** What a broken server would answer. */
function breakAnswer(ctx) {
  const location = ctx.response.get("location") ?? "";
  if (broken.has("no iss") && location.startsWith(BACK)) ctx.set("location", location.replace(/&iss=[^&]*/, ""));
  if (broken.has("another iss") && location.startsWith(BACK)) ctx.set("location", location.replace(/&iss=[^&]*/, "&iss=https%3A%2F%2Felsewhere.test"));
  if (broken.has("another state") && location.startsWith(BACK)) ctx.set("location", location.replace(/&state=[^&]*/, "&state=other"));
  if (broken.has("bearer") && ctx.body?.token_type === "DPoP") ctx.body = { ...ctx.body, token_type: "Bearer" };
  if (broken.has("no binding") && ctx.body?.active) ctx.body = { ...ctx.body, cnf: undefined };
  if (broken.has("unsigned") && ctx.type === "application/token-introspection+jwt") {
    ctx.body = `${String(ctx.body).split(".").slice(0, 2).join(".")}.${randomBytes(64).toString("base64url")}`;
    ctx.type = "application/token-introspection+jwt";
  }
  if (broken.has("always active") && ctx.body?.active === false) ctx.body = { active: true };
  if (broken.has("forged ID token") && ctx.body?.id_token) {
    const [header, claims] = ctx.body.id_token.split(".");
    ctx.body = { ...ctx.body, id_token: `${header}.${claims}.${randomBytes(64).toString("base64url")}` };
  }
}

let handler = provider();
const server = createServer({
  key: readFileSync(file("server-key.pem")),
  cert: readFileSync(file("server.pem")),
  ca: readFileSync(file("ca.pem")),
  requestCert: true,
  rejectUnauthorized: false,
}, (request, response) => handler(request, response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
const place = `127.0.0.1:${server.address().port}`;

/** Where a person is sent to who opens a page, logs in, and consents. */
async function person(url) {
  const dispatcher = new Agent({ connect: { ca: readFileSync(file("ca.pem")), servername: "sign.test" } });
  const cookies = new Map();
  let at = new URL(url);
  for (let redirect = 0; redirect < 10; redirect += 1) {
    if (at.href.startsWith(BACK)) return at.href;
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(`https://${place}${at.pathname}${at.search}`, { dispatcher, redirect: "manual", headers: { host: "sign.test", cookie } });
    for (const set of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(set);
      cookies.set(name, value);
    }
    const location = response.headers.get("location");
    if (location === null) throw new Error(`${at.href} answers ${response.status}: ${await response.text()}`);
    at = new URL(location, at);
  }
  throw new Error(`${url} leads nowhere`);
}

/** Runs a judge; gives its status and what it said. */
async function run(script, input) {
  handler = provider();
  const program = script.endsWith(".py") ? PYTHON : "node";
  const whole = { issuer: ISSUER, ca: file("ca.pem"), resolve: { "sign.test": place }, redirect_uri: BACK, ...input };
  const child = spawn(program, [join(HERE, script), JSON.stringify(whole)], { stdio: ["pipe", "pipe", "pipe"] });
  const ended = once(child, "close");
  let complaint = "";
  let said;
  child.stderr.on("data", (text) => (complaint += text));
  for await (const line of createInterface({ input: child.stdout })) {
    said = JSON.parse(line);
    if (said.open) child.stdin.write(`${await person(said.open)}\n`);
  }
  const [status] = await ended;
  return { status, said, complaint: complaint.trim() };
}

const resource_server = { id: "resource", method: "private_key_jwt", jwk: keys.resource.secret };
const integrator = { id: "integrator", method: "private_key_jwt", jwk: keys.integrator.secret };
const plain = { id: "plain", method: "private_key_jwt", jwk: keys.plain.secret };
const mutual = (id, method) => ({ id, method, certificate: file(`${id}.pem`), key: file(`${id}-key.pem`) });
const shared = { resource_server, resource: `${ISSUER}/me`, scope: "openid offline_access read", parameters: { prompt: "consent" } };
const life = ["authorize", "resource", "introspect", "refresh", "reuse", "authorize", "revoke"];

/** What a judge has to complain of, by the way in which the server is broken. */
const COMPLAINTS = {
  "always active": /active/,
  "another iss": /iss/i,
  "another state": /state/i,
  bearer: /of the type bearer/i,
  "forged ID token": /signature/i,
  "no binding": /bound|cnf/,
  "no challenge": /first token is enough/,
  "no iss": /iss/i,
  "no rotation": /rotate/,
  "reuse is good": /should be refused/,
  unsigned: /signature/,
};

const RUNS = [
  ["oauth4webapi.mjs", { ...shared, algorithm: "oidc", client: integrator, steps: [...life, "authorize", "introspect_jwt", "step_up"], step_up: { url: `${ISSUER}/strong`, acr_values: STRONG }, introspection: { response: { client_id: "integrator" } } },
    ["no rotation", "reuse is good", "no iss", "another iss", "another state", "bearer", "no binding", "unsigned", "always active", "no challenge"]],
  ["oauth4webapi.mjs", { ...shared, scope: "read", client: integrator, steps: ["client_credentials", "introspect"] }, ["no binding"]],
  ["oauth4webapi.mjs", { ...shared, algorithm: "oidc", client: mutual("by-ca", "tls_client_auth"), dpop: false, steps: [...life, "authorize", "introspect_jwt"] },
    ["reuse is good", "no binding"]],
  ["oauth4webapi.mjs", { ...shared, algorithm: "oidc", client: mutual("by-itself", "self_signed_tls_client_auth"), dpop: false, steps: life }, ["no binding"]],
  ["openid-client.mjs", { ...shared, client: integrator, steps: life, signed: true },
    ["no rotation", "reuse is good", "another iss", "no iss", "another state", "bearer", "unsigned", "forged ID token"]],
  ["openid-client.mjs", { ...shared, client: mutual("by-ca", "tls_client_auth"), dpop: false, steps: life }, ["reuse is good", "no binding"]],
  ["openid-client.mjs", { ...shared, client: mutual("by-itself", "self_signed_tls_client_auth"), dpop: false, steps: life }, []],
  ["openid-client.mjs", { ...shared, scope: "read", client: mutual("by-itself", "self_signed_tls_client_auth"), dpop: false, steps: ["client_credentials", "introspect"] }, ["no binding"]],
  ["openid-client.mjs", { ...shared, scope: "read", client: integrator, steps: ["client_credentials", "introspect"] }, ["no binding"]],
  ["requests_oauth2client_judge.py", { ...shared, client: integrator, steps: life },
    ["no rotation", "reuse is good", "another iss", "no iss", "another state", "bearer", "no binding", "always active", "forged ID token"]],
  ["requests_oauth2client_judge.py", { ...shared, scope: "read", client: integrator, steps: ["client_credentials", "introspect"] }, ["no binding"]],
  ["authlib_judge.py", { ...shared, client: plain, steps: life },
    ["no rotation", "reuse is good", "another iss", "no iss", "another state", "always active", "forged ID token"]],
  ["authlib_judge.py", { ...shared, client: mutual("by-ca", "tls_client_auth"), steps: life }, ["no binding"]],
  ["authlib_judge.py", { ...shared, scope: "read", client: plain, steps: ["client_credentials", "introspect"] }, []],
];

let failures = 0;
for (const [script, input, ways] of RUNS) {
  for (const way of [undefined, ...ways]) {
    const what = `${script} as ${input.client.id}, ${way ?? "good"}`;
    if (!what.includes(process.argv[3] ?? "")) continue;
    broken = new Set(way === undefined ? [] : [way]);
    const { status, said, complaint } = await run(script, input);
    const isGood = status === 0 && said?.steps?.length === input.steps.length;
    const isRight = way === undefined ? isGood : status === 1 && COMPLAINTS[way].test(complaint);
    if (!isRight) failures += 1;
    console.log(`${isRight ? "right" : "WRONG"}: ${what}: ${complaint || JSON.stringify(said)}`);
  }
}
console.log(failures === 0 ? "Every judge judges." : `${failures} are wrong.`);
process.exit(failures === 0 ? 0 : 1);
