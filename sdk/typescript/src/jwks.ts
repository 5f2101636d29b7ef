/** The JWK set of an endpoint, fetched and kept as the wire format says. */

import { joined, type Bytes } from "./bytes.js";
import { keysOfSet, type KeySource, type VerificationKey } from "./keys.js";
import { WebhookConfigurationError } from "./refused.js";

export interface RemoteJwkSetOptions {
  /** Fetches the set; `globalThis.fetch` if left out. */
  readonly fetch?: typeof globalThis.fetch;
}

/** A set is fresh for this long. */
const FRESH_MS = 5 * 60_000;
/** A key id that is not known, or a fetch that failed, makes us ask at most this often. */
const PAUSE_MS = 60_000;
/** As long as there was no good set at all. */
const FIRST_MS = 10_000;
/** The last good set serves for this long while fetches fail. */
const KEPT_MS = 24 * 3_600_000;
const TIMEOUT_MS = 5_000;
const SIZE_MAX = 64 * 1024;

interface Kept {
  readonly keys: readonly VerificationKey[];
  readonly fetchedAt: number;
}

/** Make one for each endpoint and keep it: it holds the cache. */
export class RemoteJwkSet implements KeySource {
  readonly #url: string;
  readonly #fetch: typeof globalThis.fetch;
  #kept: Kept | undefined;
  #askedAt: number | undefined;
  #underway: Promise<void> | undefined;
  #failed: unknown;

  /** `url` is `https://…/webhooks/{endpoint}/jwks.json`; `http` is taken for `localhost` only. */
  constructor(url: string | URL, options: RemoteJwkSetOptions = {}) {
    this.#url = checked(url);
    this.#fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  }

  /** Why the last fetch gave no set that can be used, for logs. */
  get failure(): string | undefined {
    return this.#failed === undefined ? undefined : told(this.#failed);
  }

  async find(keyIds: readonly string[], nowMilliseconds: number): Promise<readonly VerificationKey[]> {
    if (!this.#isWithin(this.#kept?.fetchedAt, FRESH_MS, nowMilliseconds)) await this.#refresh(nowMilliseconds);
    let keys = this.#known(keyIds, nowMilliseconds);
    if (keys.length === 0) {
      await this.#refresh(nowMilliseconds);
      keys = this.#known(keyIds, nowMilliseconds);
    }
    return keys;
  }

  #known(keyIds: readonly string[], now: number): readonly VerificationKey[] {
    if (this.#kept === undefined || !this.#isWithin(this.#kept.fetchedAt, KEPT_MS, now)) {
      throw new Error(`the JWK set could not be fetched: ${this.failure}`, { cause: this.#failed });
    }
    return this.#kept.keys.filter((key) => keyIds.includes(key.id));
  }

  /** Fetches unless that was done a moment ago. A failure leaves what is kept. */
  async #refresh(now: number): Promise<void> {
    if (this.#underway === undefined) {
      const pauseMs = this.#kept === undefined ? FIRST_MS : PAUSE_MS;
      if (this.#isWithin(this.#askedAt, pauseMs, now)) return;
      this.#underway = this.#ask(now).finally(() => (this.#underway = undefined));
    }
    await this.#underway;
  }

  async #ask(now: number): Promise<void> {
    this.#askedAt = now;
    try {
      const keys = await this.#fetched();
      // Keys that are no longer in the set were revoked, the last one too.
      this.#kept = { keys, fetchedAt: now };
      this.#failed = keys.length > 0 ? undefined : new Error("no key in it can be used here");
    } catch (error) {
      // What is kept serves on; without any, `find` says so.
      this.#failed = error ?? new Error("the fetch failed");
    }
  }

  async #fetched(): Promise<VerificationKey[]> {
    const response = await this.#fetch(this.#url, {
      headers: { accept: "application/jwk-set+json, application/json" },
      redirect: "error",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    if (response.status !== 200) throw new Error(`it was answered with ${response.status}`);
    const keys = keysOfSet(jsonOf(await boundedBody(response)));
    if (keys === undefined) throw new Error("it is JSON and no JWK set, or has too many keys");
    const usable = await Promise.all(keys.map((key) => key.imported().then(() => true, () => false)));
    return keys.filter((_, index) => usable[index]);
  }

  /** A clock that went back makes everything old. */
  #isWithin(at: number | undefined, lengthMs: number, now: number): boolean {
    return at !== undefined && now >= at && now - at < lengthMs;
  }
}

function checked(url: string | URL): string {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw new WebhookConfigurationError("The URL of the JWK set must be a whole one, with https.");
  }
  const isLocal = ["localhost", "127.0.0.1", "[::1]"].includes(parsed.hostname);
  if (parsed.protocol !== "https:" && !(parsed.protocol === "http:" && isLocal)) {
    throw new WebhookConfigurationError("The JWK set must be fetched by https.");
  }
  return parsed.href;
}

function told(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === "TimeoutError") return `no whole answer came within ${TIMEOUT_MS / 1000} s`;
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  return `${error.message} (${cause.message || (cause as { code?: string }).code || cause.name})`;
}

function jsonOf(body: Bytes): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch {
    throw new Error("it is no JSON");
  }
}

async function boundedBody(response: Response): Promise<Bytes> {
  const reader = response.body?.getReader();
  const parts: Uint8Array[] = [];
  let size = 0;
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    size += part.value.byteLength;
    if (size > SIZE_MAX) {
      await reader?.cancel();
      throw new Error(`it is larger than ${SIZE_MAX} bytes`);
    }
    parts.push(part.value);
  }
  return joined(parts);
}
