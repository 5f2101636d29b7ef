// The store in Redis, with a real Redis and the client of npm `redis` (`@redis/client` is what that package exports).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { createClient } from "@redis/client";

import { RedisReplayStore, verify } from "../dist/index.js";
import { ID, NOW_S, options, refusal, request } from "./samples.mjs";

/** A Redis of our own behind a socket in a folder, and a client of it. */
async function redis(t) {
  const folder = mkdtempSync(join(tmpdir(), "countersign-redis-"));
  const socket = join(folder, "socket");
  const server = spawn("redis-server", ["--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]);
  const ended = once(server, "exit");
  t.after(async () => {
    server.kill();
    await ended;
    rmSync(folder, { recursive: true });
  });
  for await (const line of createInterface(server.stdout)) {
    if (/ready to accept connections/i.test(line)) break;
  }
  const client = createClient({ socket: { path: socket, reconnectStrategy: false } });
  client.on("error", () => {});
  await client.connect();
  t.after(() => client.isOpen && client.destroy());
  return { client, server, ended };
}

test("redis: attempts are taken once, retries are known, and everything ends", async (t) => {
  const { client, server, ended } = await redis(t);
  let nowS = NOW_S;
  const given = options({ replay: new RedisReplayStore(client), clock: () => nowS * 1000 });
  const found = await Promise.all(Array.from({ length: 50 }, () => verify(request(), given).catch((error) => error)));
  const [taken, ...others] = found.filter(({ code }) => code === undefined);
  assert.equal(others.length, 0);
  assert.equal(found.filter(({ code }) => code === "replayed").length, 49);
  nowS += 5;
  assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, false);
  await taken.acted();
  nowS += 5;
  assert.equal((await verify(request({ timestamp: nowS }), given)).duplicate, true);
  const nonceMs = await client.pTTL(`countersign:webhook:nonce:${ID}.${NOW_S}`);
  const idMs = await client.pTTL(`countersign:webhook:id:${ID}`);
  assert.ok(nonceMs > 540_000 && nonceMs <= 601_000, `${nonceMs}`);
  assert.ok(idMs > 3_023_000_000 && idMs <= 3_024_000_000, `${idMs}`);
  server.kill("SIGKILL");
  await ended;
  assert.equal(await refusal(verify(request({ timestamp: nowS + 1 }), given)), "unavailable");
});
