// Serves the handler of the TypeScript package's README.md, compiled as `snippet.js` in the folder where this runs, over TLS. It says its
// port, reads the secret and the key's id as JSON, says so, and stops at the end of its input.

import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

let handler;
http.createServer = (given) => {
  handler = given;
  return { listen: () => undefined };
};
syncBuiltinESMExports();

const { CERTIFICATE, CERTIFICATE_KEY } = process.env;
const options = { cert: readFileSync(CERTIFICATE), key: readFileSync(CERTIFICATE_KEY) };
const server = https.createServer(options, (request, response) => handler(request, response));
server.listen(0, "127.0.0.1");
await once(server, "listening");
console.log(server.address().port);

const lines = createInterface({ input: process.stdin });
const [line] = await once(lines, "line");
const held = JSON.parse(line);
process.env.WEBHOOK_SECRET = held.secret;
process.env.WEBHOOK_KEY_ID = held.key_id;
globalThis.store = async (event) => console.log(event.type);
await import(pathToFileURL("snippet.js"));
lines.once("close", () => process.exit());
console.log("ready");
