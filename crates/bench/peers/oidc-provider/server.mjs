// Peer of `cargo xtask bench auth`: oidc-provider over plain HTTP on loopback, with PostgreSQL, in one process or in several
// workers that share the port (node's cluster).
// node server.mjs '{"database": URL, "port": …, "connections": …, "clients": [METADATA…], "scope": …, "users": …,
//     "workers": …}'
// The first client gets a refresh token for each user. Prints {"issuer", "refresh_tokens"} when it serves, and serves
// until its standard input ends.
//
// As its documentation advises for production: an adapter with a real store, NODE_ENV=production, keys and cookie keys
// of its own. Replays of client assertions and DPoP proofs are detected, in PostgreSQL. Clients are static and accounts
// cost nothing: both would be further reads of the database.
import cluster from "node:cluster";
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";
import "./node20.mjs";
import Provider from "oidc-provider";
import { adapter, createSchema } from "./adapter.mjs";

const { database, port, connections, clients, scope, users, workers } = JSON.parse(process.argv[2]);

const issuer = `http://127.0.0.1:${port}`;
// All workers have the same keys.
const secret = () => randomBytes(32).toString("base64url");
const { key, cookieKey, nonceSecret } = cluster.isPrimary
  ? {
      key: generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
      cookieKey: secret(),
      nonceSecret: secret(),
    }
  : JSON.parse(process.env.KEYS);
if (cluster.isPrimary) await createSchema(database);
const lifetimes = { AccessToken: 600, ClientCredentials: 600, Grant: 86_400, RefreshToken: 86_400 };

const provider = new Provider(issuer, {
  adapter: adapter(database, connections),
  clients,
  clientAuthMethods: ["private_key_jwt"],
  clientDefaults: { id_token_signed_response_alg: "ES256" },
  cookies: { keys: [cookieKey] },
  enabledJWA: { clientAuthSigningAlgValues: ["ES256"], dPoPSigningAlgValues: ["ES256"], idTokenSigningAlgValues: ["ES256"] },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    dPoP: { enabled: true, nonceSecret: Buffer.from(nonceSecret, "base64url"), requireNonce: () => true },
    introspection: { enabled: true },
    pushedAuthorizationRequests: { enabled: true },
    resourceIndicators: { enabled: false },
    revocation: { enabled: true },
    userinfo: { enabled: false },
  },
  findAccount: (_context, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  jwks: { keys: [{ ...key, alg: "ES256", use: "sig", kid: "bench" }] },
  responseTypes: ["code"],
  rotateRefreshToken: true,
  scopes: ["offline_access", ...scope.split(" ")],
  ttl: lifetimes,
});

/** What a login and a consent would leave behind. */
async function refreshToken(client, number) {
  const accountId = `user-${number}`;
  const grant = new provider.Grant({ accountId, clientId: client.clientId });
  grant.addOIDCScope(`offline_access ${scope}`);
  const grantId = await grant.save();
  const token = new provider.RefreshToken({
    accountId,
    authTime: Math.floor(Date.now() / 1000),
    client,
    expiresWithSession: false,
    grantId,
    gty: "authorization_code",
    scope: `offline_access ${scope}`,
  });
  return token.save();
}

async function seed() {
  const client = await provider.Client.find(clients[0].client_id);
  const seeded = await Promise.all(Array.from({ length: users }, (_, number) => refreshToken(client, number)));
  return JSON.stringify({ issuer, refresh_tokens: seeded });
}

async function serve() {
  // The generator signs between rounds while its connections rest.
  await once(createServer({ keepAliveTimeout: 120_000 }, provider.callback()).listen(port, "127.0.0.1"), "listening");
}

if (!cluster.isPrimary) {
  await serve();
  // A worker ends with the process that began it, whichever way that ends.
  process.on("disconnect", () => process.exit());
} else {
  const said = await seed();
  if (workers === 1) {
    await serve();
  } else {
    const KEYS = JSON.stringify({ key, cookieKey, nonceSecret });
    const forked = Array.from({ length: workers }, () => cluster.fork({ KEYS }));
    await Promise.all(forked.map((worker) => once(worker, "listening")));
  }
  console.log(said);
  process.stdin.resume().on("end", () => process.exit());
}
