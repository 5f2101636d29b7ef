// What the judges of OAuth that run on Node share: their input, their way to the server, their talk with the test.
//
// The one argument is JSON:
//   issuer         the server's issuer identifier
//   ca             file with the certificate that the server's chain ends in (PEM)
//   resolve        { "host:port" or "host": "address:port" } — where a host really is; TLS is for the host
//   steps          names of what is done, in this order
//   client         { id, method, jwk, certificate, key }: its `token_endpoint_auth_method`, its private JWK (with `kid`)
//                  for private_key_jwt, its certificate and key (files, PEM) for mutual TLS
//   resource_server  the same, for the client that introspects
//   …and what the single steps need; each judge lists it.
//
// A judge prints one JSON object at its end, and before that a line {"open": URL} for each page that a person has to
// visit; then it reads a line with the URL that the person was sent to. A deviation ends it with status 1 and a reason.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Agent, buildConnector, fetch as fetchWith } from "undici";

export const input = JSON.parse(process.argv[2]);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Ends with a reason unless `holds`. */
export function must(holds, reason) {
  if (!holds) throw new Error(reason);
}

/** The URL that a person is sent to who opened `url`. */
export async function open(url) {
  console.log(JSON.stringify({ open: url.href }));
  const { value, done } = await lines.next();
  must(!done, "the test did not say where the person was sent");
  return new URL(value);
}

/** A private JWK of P-256 as a key that signs by ES256, and its id. */
export async function signingKey({ kid, kty, crv, x, y, d }) {
  const algorithm = { name: "ECDSA", namedCurve: "P-256" };
  return { key: await crypto.subtle.importKey("jwk", { kty, crv, x, y, d }, algorithm, false, ["sign"]), kid };
}

/** A `fetch` that trusts the server's CA alone, finds its hosts, and shows the certificate of `client` if it has one. */
export function fetchFor(client) {
  const read = (file) => (file === undefined ? undefined : readFileSync(file));
  const connect = buildConnector({ ca: read(input.ca), cert: read(client?.certificate), key: read(client?.key) });
  const dispatcher = new Agent({
    connect(options, callback) {
      const port = options.port || "443";
      const place = input.resolve?.[`${options.hostname}:${port}`] ?? input.resolve?.[options.hostname];
      if (place === undefined) return connect(options, callback);
      const [hostname, toPort] = place.split(":");
      const servername = options.servername || options.hostname;
      return connect({ ...options, hostname, host: hostname, port: toPort ?? port, servername }, callback);
    },
  });
  return (url, options) => fetchWith(url, { ...options, dispatcher });
}

/** Does the steps of the input in their order, each a function of its name, and prints what they found. */
export async function judge(name, steps) {
  try {
    const found = [];
    for (const step of input.steps) {
      must(step in steps, `there is no step "${step}"; there are ${Object.keys(steps).join(", ")}`);
      try {
        found.push({ step, ...(await steps[step]()) });
      } catch (error) {
        throw new Error(`${step}: ${reason(error)}`, { cause: error });
      }
    }
    console.log(JSON.stringify({ judge: name, steps: found }));
    process.exit(0);
  } catch (error) {
    console.error(`${name}: ${error.message}`);
    process.exit(1);
  }
}

/** Everything that an error and its causes say. */
function reason(error) {
  const parts = [];
  for (let one = error; one !== undefined && parts.length < 5; one = one.cause) {
    if (!(one instanceof Error)) {
      parts.push(JSON.stringify(one));
      break;
    }
    parts.push([one.message, one.code, one.error, one.error_description].filter(Boolean).join(" "));
  }
  return parts.join(" ← ");
}
