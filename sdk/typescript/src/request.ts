/** Reads a request of any platform: its body, bounded while it arrives, and its headers by name. */

import { joined, utf8, type Bytes } from "./bytes.js";
import { malformed, WebhookRefused } from "./refused.js";

/** Headers as platforms give them: `Headers`, pairs, or an object (in Node `request.headersDistinct`). */
export type HeaderSource =
  | Headers
  | Iterable<readonly [string, string]>
  | Readonly<Record<string, string | readonly string[] | undefined>>;

/** The raw body: bytes, text as it was received, or a stream (in Node the request itself). */
export type BodySource = Uint8Array | ArrayBuffer | string | AsyncIterable<Uint8Array> | ReadableStream<Uint8Array> | null;

/** A request as it arrived. A `Request` of the Fetch standard is one. */
export interface WebhookRequest {
  /** For HTTP Message Signatures only. */
  readonly method?: string;
  /** The whole URL as the sender knows it, with host. For HTTP Message Signatures only. */
  readonly url?: string;
  readonly headers: HeaderSource;
  readonly body: BodySource;
}

/** Headers by name in lower case, each with all its lines. */
export type HeaderLines = ReadonlyMap<string, readonly string[]>;

const HEADERS_MAX = 256;
const HEADER_LENGTH_MAX = 16 * 1024;

export function headerLines(source: unknown): HeaderLines {
  const lines = new Map<string, string[]>();
  let count = 0;
  for (const [name, value] of pairs(source)) {
    if (typeof name !== "string" || typeof value !== "string") throw malformed("Give header names and values as text.");
    count += 1;
    if (count > HEADERS_MAX || value.length > HEADER_LENGTH_MAX) throw malformed("There is too much in the headers.");
    const key = name.toLowerCase();
    const found = lines.get(key);
    if (found === undefined) lines.set(key, [value]);
    else found.push(value);
  }
  return lines;
}

function* pairs(source: unknown): Generator<readonly [unknown, unknown]> {
  if (typeof source !== "object" || source === null) throw malformed("Give the headers of the request.");
  if (Symbol.iterator in source) {
    for (const pair of source as Iterable<unknown>) {
      if (!Array.isArray(pair) || pair.length !== 2) throw malformed("Give headers as pairs of name and value.");
      yield [pair[0], pair[1]];
    }
    return;
  }
  for (const [name, value] of Object.entries(source)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const line of value) yield [name, line];
    else yield [name, value];
  }
}

/** All of the body, at most `maxBytes`; what comes after them is not read. */
export async function readBody(source: unknown, maxBytes: number): Promise<Bytes> {
  if (source === null || source === undefined) return new Uint8Array();
  if (typeof source === "string") {
    if (source.length > maxBytes) throw tooLarge(maxBytes);
    return bounded(utf8(source), maxBytes);
  }
  if (source instanceof Uint8Array) {
    if (source.byteLength > maxBytes) throw tooLarge(maxBytes);
    return new Uint8Array(source);
  }
  if (source instanceof ArrayBuffer) return bounded(new Uint8Array(source), maxBytes);
  if (typeof source === "object" && Symbol.asyncIterator in source) {
    return fromChunks(source as AsyncIterable<unknown>, maxBytes);
  }
  if (typeof ReadableStream !== "undefined" && source instanceof ReadableStream) {
    return fromChunks(chunks(source as ReadableStream<unknown>), maxBytes);
  }
  throw malformed("Give the raw body: bytes or a stream, not what a parser made of them.");
}

function bounded(bytes: Bytes, maxBytes: number): Bytes {
  if (bytes.byteLength > maxBytes) throw tooLarge(maxBytes);
  return bytes;
}

async function fromChunks(source: AsyncIterable<unknown>, maxBytes: number): Promise<Bytes> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of source) {
    if (!(chunk instanceof Uint8Array)) throw malformed("Give a stream of bytes, without an encoding set.");
    size += chunk.byteLength;
    if (size > maxBytes) throw tooLarge(maxBytes);
    parts.push(chunk);
  }
  return joined(parts);
}

/** Streams are not iterable on every platform. */
async function* chunks(stream: ReadableStream<unknown>): AsyncGenerator<unknown> {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    await reader.cancel();
  }
}

function tooLarge(maxBytes: number): WebhookRefused {
  return new WebhookRefused("too_large", `The body is larger than ${maxBytes} bytes.`);
}
