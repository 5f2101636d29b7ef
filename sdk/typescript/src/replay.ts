/** What was seen before: the nonces of attempts, and the ids of messages that were acted on. */

/** An attempt whose signature is right. `id` and `timestampSeconds` together are its nonce. */
export interface Attempt {
  readonly id: string;
  readonly timestampSeconds: number;
  readonly nowMilliseconds: number;
  /** The nonce is kept until then. */
  readonly keepUntilMilliseconds: number;
}

/** `duplicate`: the nonce is new, and the message was acted on already. */
export type Seen = "new" | "duplicate" | "replayed";

/**
 * Remembers. Where you have a database, write one that uses it, so that the message and its id are stored in one
 * transaction. What it throws becomes a refusal `unavailable`.
 */
export interface ReplayStore {
  /** Records the nonce, at once and for all processes: of two calls with one nonce, one is answered `replayed`. */
  take(attempt: Attempt): Promise<Seen>;
  /** Records that the message was acted on. */
  acted(id: string, nowMilliseconds: number, keepUntilMilliseconds: number): Promise<void>;
}

export interface MemoryReplayStoreOptions {
  /** How many nonces, and how many ids, are kept at most. */
  readonly entriesMax?: number;
}

const ENTRIES_MAX = 1_000_000;

/** In this process's memory: for one process, and forgotten when it ends. */
export class MemoryReplayStore implements ReplayStore {
  readonly #nonces = new Map<string, number>();
  readonly #ids = new Map<string, number>();
  readonly #entriesMax: number;

  constructor(options: MemoryReplayStoreOptions = {}) {
    this.#entriesMax = options.entriesMax ?? ENTRIES_MAX;
  }

  take(attempt: Attempt): Promise<Seen> {
    try {
      return Promise.resolve(this.takeNow(attempt));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  acted(id: string, nowMilliseconds: number, keepUntilMilliseconds: number): Promise<void> {
    this.actedNow(id, nowMilliseconds, keepUntilMilliseconds);
    return Promise.resolve();
  }

  /** Full of nonces that still count, it refuses: it cannot know what it would have to forget. */
  takeNow({ id, timestampSeconds, nowMilliseconds, keepUntilMilliseconds }: Attempt): Seen {
    const nonce = `${id}.${timestampSeconds}`;
    if ((this.#nonces.get(nonce) ?? -Infinity) >= nowMilliseconds) return "replayed";
    forget(this.#nonces, nowMilliseconds);
    if (this.#nonces.size >= this.#entriesMax) throw new Error("the replay store is full");
    this.#nonces.set(nonce, keepUntilMilliseconds);
    return (this.#ids.get(id) ?? -Infinity) >= nowMilliseconds ? "duplicate" : "new";
  }

  /** Full of ids, it forgets the oldest: their retries would be acted on twice, but are still verified. */
  actedNow(id: string, nowMilliseconds: number, keepUntilMilliseconds: number): void {
    forget(this.#ids, nowMilliseconds);
    const oldest = this.#ids.keys().next();
    if (this.#ids.size >= this.#entriesMax && !oldest.done) this.#ids.delete(oldest.value);
    this.#ids.set(id, keepUntilMilliseconds);
  }

  /** All that still counts. */
  entries(nowMilliseconds: number): { nonces: [string, number][]; ids: [string, number][] } {
    const live = (map: Map<string, number>) => [...map].filter(([, until]) => until >= nowMilliseconds);
    return { nonces: live(this.#nonces), ids: live(this.#ids) };
  }
}

/** A map keeps the order of insertion, which is that of the ends: what is over is in front. */
function forget(map: Map<string, number>, nowMilliseconds: number): void {
  for (const [key, until] of map) {
    if (until >= nowMilliseconds) break;
    map.delete(key);
  }
}

/** What is used of a client of Redis: that of npm `redis` is one. */
export interface RedisClient {
  set(key: string, value: string, options: { NX?: true; PX: number }): Promise<unknown>;
  get(key: string): Promise<unknown>;
}

/** In Redis, for any number of processes. Redis must not evict keys (`maxmemory-policy noeviction`). */
export class RedisReplayStore implements ReplayStore {
  readonly #client: RedisClient;
  readonly #prefix: string;

  constructor(client: RedisClient, options: { readonly prefix?: string } = {}) {
    this.#client = client;
    this.#prefix = options.prefix ?? "countersign:webhook:";
  }

  async take({ id, timestampSeconds, nowMilliseconds, keepUntilMilliseconds }: Attempt): Promise<Seen> {
    const lifetimeMs = Math.ceil(keepUntilMilliseconds - nowMilliseconds);
    const key = `${this.#prefix}nonce:${id}.${timestampSeconds}`;
    const set = await this.#client.set(key, "1", { NX: true, PX: lifetimeMs });
    if (set !== "OK") return "replayed";
    return (await this.#client.get(this.#idKey(id))) === null ? "new" : "duplicate";
  }

  async acted(id: string, nowMilliseconds: number, keepUntilMilliseconds: number): Promise<void> {
    const lifetimeMs = Math.ceil(keepUntilMilliseconds - nowMilliseconds);
    await this.#client.set(this.#idKey(id), "1", { PX: lifetimeMs });
  }

  #idKey(id: string): string {
    return `${this.#prefix}id:${id}`;
  }
}
