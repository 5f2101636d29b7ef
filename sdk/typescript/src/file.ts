/** A replay store in one file that is only appended to, and survives a restart. For Node, Deno and Bun. */

import { open, readFile, rename, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";

import { WebhookConfigurationError } from "./refused.js";
import { MemoryReplayStore, type Attempt, type MemoryReplayStoreOptions, type ReplayStore, type Seen } from "./replay.js";

const HEADING = "countersign-webhook-replay 1\n";
const NONCE = /^n (msg_[0-9a-z]{26})\.([0-9]{1,12}) ([0-9]{1,15})$/;
const ID = /^i (msg_[0-9a-z]{26}) ([0-9]{1,15})$/;
/** The file is written anew when it has this many lines, and twice as many as count. */
const LINES_MIN = 10_000;

/** For one process alone. An answer comes after the line is on the disk; lines that come together share one write. */
export class FileReplayStore implements ReplayStore {
  readonly #path: string;
  readonly #memory: MemoryReplayStore;
  #file: FileHandle;
  #lineCount: number;
  #lineCountMax = LINES_MIN;
  #waiting: { line: string; done: () => void; failed: (error: unknown) => void }[] = [];
  #writing: Promise<void> | undefined;
  #broken: unknown;

  private constructor(path: string, memory: MemoryReplayStore, file: FileHandle, lineCount: number) {
    this.#path = path;
    this.#memory = memory;
    this.#file = file;
    this.#lineCount = lineCount;
  }

  /** Opens the file, or makes it. A last line that was cut off by a crash is dropped; anything else out of form is an error. */
  static async open(
    path: string,
    options: MemoryReplayStoreOptions & { readonly clock?: () => number } = {},
  ): Promise<FileReplayStore> {
    const now = (options.clock ?? Date.now)();
    const memory = new MemoryReplayStore(options);
    const text = await readFile(path, "latin1").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    remember(path, text, memory, now);
    const { file, lineCount } = await written(path, memory, now);
    return new FileReplayStore(path, memory, file, lineCount);
  }

  async take(attempt: Attempt): Promise<Seen> {
    this.#check();
    const seen = this.#memory.takeNow(attempt);
    if (seen === "replayed") return seen;
    const until = Math.ceil(attempt.keepUntilMilliseconds);
    await this.#append(`n ${attempt.id}.${attempt.timestampSeconds} ${until}\n`, attempt.nowMilliseconds);
    return seen;
  }

  async acted(id: string, nowMilliseconds: number, keepUntilMilliseconds: number): Promise<void> {
    this.#check();
    this.#memory.actedNow(id, nowMilliseconds, keepUntilMilliseconds);
    await this.#append(`i ${id} ${Math.ceil(keepUntilMilliseconds)}\n`, nowMilliseconds);
  }

  /** Waits for what is on its way, and closes the file. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    this.#broken ??= new Error("the replay store is closed");
  }

  /** After a write that failed nobody knows what is in the file: open it again. */
  #check(): void {
    if (this.#broken !== undefined) throw new Error("the replay store cannot be written", { cause: this.#broken });
  }

  #append(line: string, now: number): Promise<void> {
    return new Promise((done, failed) => {
      this.#waiting.push({ line, done, failed });
      this.#writing ??= this.#write(now).finally(() => (this.#writing = undefined));
    });
  }

  async #write(now: number): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        this.#check();
        await this.#file.appendFile(batch.map(({ line }) => line).join(""));
        await this.#file.datasync();
        this.#lineCount += batch.length;
        if (this.#lineCount > this.#lineCountMax) await this.#writeAnew(now);
        for (const { done } of batch) done();
      } catch (error) {
        this.#broken ??= error;
        for (const { failed } of batch) failed(error);
      }
    }
  }

  async #writeAnew(now: number): Promise<void> {
    const old = this.#file;
    const { file, lineCount } = await written(this.#path, this.#memory, now);
    this.#file = file;
    this.#lineCount = lineCount;
    this.#lineCountMax = Math.max(LINES_MIN, 2 * lineCount);
    await old.close();
  }
}

function remember(path: string, text: string, memory: MemoryReplayStore, now: number): void {
  if (text === "" || HEADING.startsWith(text)) return;
  if (!text.startsWith(HEADING)) throw new WebhookConfigurationError(`${path} is no file of a replay store.`);
  const lines = text.slice(HEADING.length).split("\n").slice(0, -1);
  for (const [index, line] of lines.entries()) {
    const [, nonceId, timestamp, nonceUntil] = NONCE.exec(line) ?? [];
    const [, id, until] = ID.exec(line) ?? [];
    if (nonceId !== undefined) {
      const attempt = { id: nonceId, timestampSeconds: Number(timestamp), nowMilliseconds: now };
      if (Number(nonceUntil) >= now) memory.takeNow({ ...attempt, keepUntilMilliseconds: Number(nonceUntil) });
    } else if (id !== undefined) {
      if (Number(until) >= now) memory.actedNow(id, now, Number(until));
    } else {
      throw new WebhookConfigurationError(`${path}:${index + 2} is out of form: the file was changed by something else.`);
    }
  }
}

/** Writes all that counts into a new file, and puts it in the place of the old one. */
async function written(path: string, memory: MemoryReplayStore, now: number): Promise<{ file: FileHandle; lineCount: number }> {
  const { nonces, ids } = memory.entries(now);
  const lines = [
    ...nonces.map(([nonce, until]) => `n ${nonce} ${Math.ceil(until)}\n`),
    ...ids.map(([id, until]) => `i ${id} ${Math.ceil(until)}\n`),
  ];
  const file = await open(`${path}.new`, "w", 0o600);
  await file.appendFile(HEADING + lines.join(""));
  await file.datasync();
  await rename(`${path}.new`, path);
  const folder = await open(dirname(path), "r");
  await folder.sync();
  await folder.close();
  return { file, lineCount: lines.length };
}
