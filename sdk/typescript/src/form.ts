/** The form of the headers that every message has. */

import { fromBase64, type Bytes } from "./bytes.js";
import { malformed, WebhookRefused } from "./refused.js";
import type { HeaderLines } from "./request.js";

/** One word of `webhook-signature`. */
export interface OfferedSignature {
  readonly scheme: string;
  readonly signature: Bytes;
}

/** What the headers say, before any of it is believed. */
export interface Claims {
  readonly id: string;
  /** As it was sent, which is what is signed. */
  readonly timestamp: string;
  readonly timestampSeconds: number;
  readonly signatures: readonly OfferedSignature[];
  readonly keyIds: readonly string[];
  readonly attemptId: string;
}

const TIMESTAMP = /^(?:0|[1-9][0-9]{0,11})$/;
const SCHEME = /^[a-z][a-z0-9]*$/;
const SIGNATURES_MAX = 4;
const KEY_IDS_MAX = 2;

export function claims(headers: HeaderLines): Claims {
  checkEncoding(headers);
  const id = identifier("webhook-id", "msg_", once(headers, "webhook-id"));
  const timestamp = once(headers, "webhook-timestamp");
  if (!TIMESTAMP.test(timestamp)) throw malformed("webhook-timestamp must be whole seconds since 1970, in digits.");
  const signatures = words(headers, "webhook-signature", SIGNATURES_MAX).map(offered);
  const keyIds = words(headers, "webhook-key-id", KEY_IDS_MAX).map((word) => identifier("webhook-key-id", "whk_", word));
  const attemptId = identifier("webhook-attempt-id", "att_", once(headers, "webhook-attempt-id"));
  return { id, timestamp, timestampSeconds: Number(timestamp), signatures, keyIds, attemptId };
}

function checkEncoding(headers: HeaderLines): void {
  const encodings = headers.get("content-encoding") ?? [];
  if (encodings.some((encoding) => encoding.trim().toLowerCase() !== "identity")) {
    throw new WebhookRefused("unsupported_encoding", "Send the body as it is, without content-encoding.");
  }
}

/** The header's value: it must be there, and once. */
export function once(headers: HeaderLines, name: string): string {
  const [value, second] = headers.get(name) ?? [];
  if (value === undefined) throw malformed(`The header ${name} is missing.`);
  if (second !== undefined) throw malformed(`The header ${name} must be there once.`);
  return value;
}

export function isIdentifier(prefix: string, value: string): boolean {
  return value.startsWith(prefix) && /^[0-9a-hjkmnp-tv-z]{26}$/.test(value.slice(prefix.length));
}

function identifier(name: string, prefix: string, value: string): string {
  if (!isIdentifier(prefix, value)) throw malformed(`${name} must be ${prefix} and 26 characters.`);
  return value;
}

function words(headers: HeaderLines, name: string, countMax: number): string[] {
  const found = once(headers, name).split(" ", countMax + 1);
  if (found.length > countMax) throw malformed(`${name} must hold at most ${countMax} parts, one space between.`);
  return found;
}

function offered(word: string): OfferedSignature {
  const comma = word.indexOf(",");
  const scheme = word.slice(0, Math.max(comma, 0));
  const signature = fromBase64(word.slice(comma + 1));
  if (!SCHEME.test(scheme) || signature === undefined || signature.byteLength === 0) {
    throw malformed("webhook-signature must be schemes, each with a comma and padded base64.");
  }
  return { scheme, signature };
}
