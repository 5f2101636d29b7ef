// Runs the server of README.md, compiled as `snippet.js` beside this folder, and sends it a message, a replay and a forgery.

import { once } from "node:events";
import { Server } from "node:net";

import { BODY, key, request } from "./samples.mjs";

const listen = Server.prototype.listen;
let server;
Server.prototype.listen = function () {
  server = this;
  return listen.call(this, 0, "127.0.0.1");
};
const stored = [];
globalThis.store = async (event) => stored.push(event.type);
process.env.WEBHOOK_SECRET = key.secret;
await import("../snippet.js");
await once(server, "listening");

const given = request({ timestamp: Math.floor(Date.now() / 1000) });
const statuses = [];
let said = "";
for (const body of [BODY, BODY, "{}"]) {
  const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: "POST", headers: given.headers, body });
  statuses.push(answer.status);
  said += await answer.text();
}
server.close();
server.closeAllConnections();
console.log(JSON.stringify({ statuses, stored, said }));
