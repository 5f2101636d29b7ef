/** Verification in the order of the wire format. Whatever comes, it gives a message or throws `WebhookRefused`. */

import { joined, same, utf8, type Bytes } from "./bytes.js";
import { eventOf, type WebhookEvent } from "./event.js";
import { claims as claimsOf, type Claims } from "./form.js";
import { HTTP_ALGORITHMS, httpClaims, type HttpClaims } from "./http_signature.js";
import { sha256, type Algorithm, type KeySource, type VerificationKey } from "./keys.js";
import { malformed, WebhookConfigurationError, WebhookRefused } from "./refused.js";
import type { ReplayStore } from "./replay.js";
import { headerLines, readBody, type HeaderLines, type WebhookRequest } from "./request.js";

export interface VerifyOptions {
  /** Where keys come from: `staticKeys`, `jwkSet`, a `RemoteJwkSet`, or several of them. */
  readonly keys: KeySource | readonly KeySource[];
  /** Where it is remembered what was seen. */
  readonly replay: ReplayStore;
  /** `message` takes `v1` and `v1a`, as far as there are keys for them; the other demands an HTTP Message Signature. */
  readonly profile?: "message" | "http-message-signature";
  /** How far `webhook-timestamp` may be from the clock: 1 to 300. */
  readonly windowSeconds?: number;
  /** The largest body that is taken. */
  readonly bodyMaxBytes?: number;
  /** Milliseconds since 1970; `Date.now` if left out. */
  readonly clock?: () => number;
}

/** A message that is right. */
export interface WebhookMessage {
  /** `msg_…`, the same for each attempt. */
  readonly id: string;
  readonly event: WebhookEvent;
  /** It was acted on before: answer 200, and do nothing. */
  readonly duplicate: boolean;
  /** The key that signed. */
  readonly keyId: string;
  /** When the attempt was signed, in seconds since 1970. */
  readonly timestampSeconds: number;
  /** For logs: `v1` and `v1a` do not sign it. */
  readonly attemptId: string;
  /** For logs: `v1` and `v1a` do not sign it. */
  readonly correlationId: string | undefined;
  /** The bytes that were signed. */
  readonly body: Bytes;
  /** Call it when the message is stored, before you answer 200. Until then a retry is a new message to you. */
  acted(): Promise<void>;
}

const WINDOW_S = 300;
const BODY_MAX_BYTES = 256 * 1024;
/** Ids are kept for longer than anybody can have the sender send again, which is 29 days. */
const IDS_KEPT_MS = 35 * 86_400_000;
const SCHEMES: Readonly<Record<string, Algorithm>> = { v1: "hmac-sha256", v1a: "ed25519" };

type Settings = Required<Omit<VerifyOptions, "keys">> & { readonly keys: readonly KeySource[] };

/** Verifies one request, once: its body is read, and its nonce is spent. Throws `WebhookRefused`, and nothing else. */
export async function verify(request: WebhookRequest, options: VerifyOptions): Promise<WebhookMessage> {
  try {
    return await verified(request, settings(options));
  } catch (error) {
    if (error instanceof WebhookRefused) throw error;
    const message = error instanceof WebhookConfigurationError ? error.message : "The request could not be read.";
    throw new WebhookRefused(error instanceof WebhookConfigurationError ? "unavailable" : "malformed", message, error);
  }
}

/** Throws `WebhookConfigurationError` for options that cannot be used, at the start rather than with the first message. */
export function checkOptions(options: VerifyOptions): void {
  settings(options);
}

function settings(options: VerifyOptions): Settings {
  const { windowSeconds = WINDOW_S, bodyMaxBytes = BODY_MAX_BYTES, profile = "message", clock = Date.now } = options;
  const keys = Array.isArray(options.keys) ? (options.keys as KeySource[]) : [options.keys as KeySource];
  if (!Number.isInteger(windowSeconds) || windowSeconds < 1 || windowSeconds > WINDOW_S) {
    throw new WebhookConfigurationError(`windowSeconds must be 1 to ${WINDOW_S}.`);
  }
  if (!Number.isInteger(bodyMaxBytes) || bodyMaxBytes < 1) {
    throw new WebhookConfigurationError("bodyMaxBytes must be a positive number.");
  }
  if (profile !== "message" && profile !== "http-message-signature") {
    throw new WebhookConfigurationError("profile must be message or http-message-signature.");
  }
  if (typeof options.replay?.take !== "function") throw new WebhookConfigurationError("replay must be a replay store.");
  if (!keys.every((source) => typeof source?.find === "function")) {
    throw new WebhookConfigurationError("keys must be a source of keys, or several.");
  }
  return { keys, replay: options.replay, profile, windowSeconds, bodyMaxBytes, clock };
}

async function verified(request: WebhookRequest, options: Settings): Promise<WebhookMessage> {
  const body = await readBody(request.body, options.bodyMaxBytes);
  const headers = headerLines(request.headers);
  const claims = claimsOf(headers);
  const http = options.profile === "http-message-signature" ? httpOf(request, headers, claims) : undefined;
  const now = options.clock();
  if (!Number.isFinite(now)) throw new WebhookConfigurationError("clock must give milliseconds since 1970.");
  checkWindow(claims, http, Math.floor(now / 1000), options.windowSeconds);
  const keys = await keysFor(claims.keyIds, options.keys, now);
  const keyId = http === undefined ? await signer(claims, body, keys) : await httpSigner(http, body, keys);
  if (keyId === undefined) throw new WebhookRefused("bad_signature", "No signature is right by a key that is held.");
  const event = eventOf(body);
  const duplicate = await takeNonce(claims, now, options);
  const { id, timestampSeconds, attemptId } = claims;
  const correlationId = headers.get("correlation-id")?.[0];
  const acted = async () => {
    const nowMilliseconds = options.clock();
    await options.replay.acted(id, nowMilliseconds, nowMilliseconds + IDS_KEPT_MS);
  };
  return { id, event, duplicate, keyId, timestampSeconds, attemptId, correlationId, body, acted };
}

function httpOf(request: WebhookRequest, headers: HeaderLines, claims: Claims): HttpClaims {
  const { method, url } = request;
  if (typeof method !== "string" || typeof url !== "string") throw malformed("Give method and url of the request.");
  return httpClaims({ method, url }, headers, claims);
}

function checkWindow(claims: Claims, http: HttpClaims | undefined, nowSeconds: number, windowSeconds: number): void {
  const ageSeconds = nowSeconds - claims.timestampSeconds;
  const isExpired = http?.signatures.some(({ expiresSeconds }) => (expiresSeconds ?? nowSeconds) < nowSeconds);
  if (ageSeconds > windowSeconds || isExpired) {
    throw new WebhookRefused("stale", "The message was signed too long ago: compare the clocks, or send it again.");
  }
  if (-ageSeconds > windowSeconds) throw new WebhookRefused("future", "The message is of the future: compare the clocks.");
}

async function keysFor(ids: readonly string[], sources: readonly KeySource[], now: number): Promise<VerificationKey[]> {
  const answers = await Promise.allSettled(sources.map(async (source) => source.find(ids, now)));
  const keys = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (keys.length > 0) return keys;
  const failed = answers.find((answer) => answer.status === "rejected");
  if (failed !== undefined) {
    const why = failed.reason instanceof Error ? failed.reason.message : String(failed.reason);
    throw new WebhookRefused("unavailable", `The keys cannot be asked for now: ${why}.`, failed.reason);
  }
  const stale = sources.flatMap(({ failure }) => (failure ? [` The JWK set: ${failure}.`] : []));
  throw new WebhookRefused("unknown_key", `None of the keys of webhook-key-id is held.${stale.join("")}`);
}

/** The key of `v1` or `v1a` that signed. */
async function signer(claims: Claims, body: Bytes, keys: readonly VerificationKey[]): Promise<string | undefined> {
  const text = joined([utf8(`${claims.id}.${claims.timestamp}.`), body]);
  for (const { scheme, signature } of claims.signatures) {
    const algorithm = Object.hasOwn(SCHEMES, scheme) ? SCHEMES[scheme] : undefined;
    for (const key of keys) {
      if (key.algorithm === algorithm && (await isBy(key, signature, text))) return key.id;
    }
  }
  return undefined;
}

async function httpSigner(http: HttpClaims, body: Bytes, keys: readonly VerificationKey[]): Promise<string | undefined> {
  if (!same(await sha256(body), http.digest)) return undefined;
  for (const { keyId, algorithm, signature, base } of http.signatures) {
    for (const key of keys) {
      const fits = key.id === keyId && key.algorithm === algorithm && HTTP_ALGORITHMS.includes(key.algorithm);
      if (fits && (await isBy(key, signature, base))) return key.id;
    }
  }
  return undefined;
}

async function isBy(key: VerificationKey, signature: Bytes, text: Bytes): Promise<boolean> {
  try {
    return await key.verifies(signature, text);
  } catch (error) {
    throw new WebhookRefused("unavailable", `This platform cannot use a key of ${key.algorithm}.`, error);
  }
}

/** Spends the nonce; whether the message was acted on before. */
async function takeNonce(claims: Claims, now: number, options: Settings): Promise<boolean> {
  const { id, timestampSeconds } = claims;
  const keepUntilMilliseconds = now + (2 * options.windowSeconds + 1) * 1000;
  let seen: unknown;
  let cause: unknown;
  try {
    seen = await options.replay.take({ id, timestampSeconds, nowMilliseconds: now, keepUntilMilliseconds });
  } catch (error) {
    cause = error;
  }
  if (seen === "new" || seen === "duplicate") return seen === "duplicate";
  if (seen === "replayed") throw new WebhookRefused("replayed", "This attempt was taken before.");
  throw new WebhookRefused("unavailable", "The replay store cannot be asked now.", cause);
}
