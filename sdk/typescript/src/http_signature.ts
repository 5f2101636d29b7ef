/** The profile of HTTP Message Signatures (RFC 9421, with the digest of RFC 9530): what must be signed, and its base. */

import { utf8, type Bytes } from "./bytes.js";
import type { Claims } from "./form.js";
import type { Algorithm } from "./keys.js";
import { malformed } from "./refused.js";
import type { HeaderLines } from "./request.js";
import { dictionary, type Bare, type Member, type Parameters } from "./structured.js";

/** One signature of the request, in form, with the text that it must be over. */
export interface HttpSignature {
  readonly keyId: string;
  /** As the sender names it. */
  readonly algorithm: string;
  readonly expiresSeconds: number | undefined;
  readonly signature: Bytes;
  readonly base: Bytes;
}

export interface HttpClaims {
  readonly signatures: readonly HttpSignature[];
  /** SHA-256 of the body, as the sender says. */
  readonly digest: Bytes;
}

export interface Target {
  readonly method: string | undefined;
  readonly url: string | undefined;
}

export const HTTP_ALGORITHMS: readonly Algorithm[] = ["ed25519", "ecdsa-p256-sha256", "rsa-pss-sha512"];

const TAG = "countersign-webhook";
const DEMANDED = [
  "@method",
  "@authority",
  "@path",
  "@query",
  "content-type",
  "content-digest",
  "webhook-id",
  "webhook-timestamp",
  "webhook-attempt-id",
  "webhook-key-id",
  "webhook-event-class",
  "correlation-id",
];

export function httpClaims(target: Target, headers: HeaderLines, claims: Claims): HttpClaims {
  const digest = contentDigest(headers);
  const inputs = dictionary("signature-input", field(headers, "signature-input"));
  const sent = dictionary("signature", field(headers, "signature"));
  const values = componentValues(target, headers);
  const signatures: HttpSignature[] = [];
  for (const [label, input] of inputs) {
    if (text(input.parameters, "tag") === TAG) signatures.push(httpSignature(input, sent.get(label), values, claims));
  }
  if (signatures.length === 0) throw malformed(`signature-input must hold a signature with the tag ${TAG}.`);
  return { signatures, digest };
}

function contentDigest(headers: HeaderLines): Bytes {
  const digest = dictionary("content-digest", field(headers, "content-digest")).get("sha-256")?.value;
  if (!isBare(digest) || digest.kind !== "bytes" || digest.value.byteLength !== 32) {
    throw malformed("content-digest must hold a sha-256 of 32 bytes.");
  }
  return digest.value;
}

function httpSignature(
  input: Member,
  sent: Member | undefined,
  values: (component: string) => string | undefined,
  claims: Claims,
): HttpSignature {
  const signature = sent?.value;
  if (!isBare(signature) || signature.kind !== "bytes") throw malformed("Each label needs bytes in the header signature.");
  const { parameters } = input;
  if (number(parameters, "created") !== claims.timestampSeconds) throw malformed("created must equal webhook-timestamp.");
  if (text(parameters, "nonce") !== claims.attemptId) throw malformed("nonce must equal webhook-attempt-id.");
  const keyId = text(parameters, "keyid");
  if (keyId === undefined || !claims.keyIds.includes(keyId)) throw malformed("keyid must be one of webhook-key-id.");
  const algorithm = text(parameters, "alg");
  if (algorithm === undefined) throw malformed("alg must be there, as a string.");
  const expiresSeconds = number(parameters, "expires");
  if (parameters.has("expires") && expiresSeconds === undefined) throw malformed("expires must be whole seconds.");
  return { keyId, algorithm, expiresSeconds, signature: signature.value, base: signatureBase(input, values) };
}

/** RFC 9421 §2.5. */
function signatureBase(input: Member, values: (component: string) => string | undefined): Bytes {
  if (isBare(input.value)) throw malformed("signature-input must list components in brackets.");
  const lines = new Map<string, string>();
  for (const { bare, parameters } of input.value) {
    if (bare.kind !== "string" || parameters.size > 0) throw malformed("Components are strings without parameters here.");
    const value = values(bare.value);
    if (value === undefined) throw malformed("A component is signed that the request does not have.");
    if (lines.has(bare.value)) throw malformed("A component is listed twice.");
    lines.set(bare.value, `"${bare.value}": ${value}`);
  }
  const demanded = values("webhook-sequence") === undefined ? DEMANDED : [...DEMANDED, "webhook-sequence"];
  const left = demanded.find((component) => !lines.has(component));
  if (left !== undefined) throw malformed(`The HTTP message signature must cover ${left}.`);
  return utf8([...lines.values(), `"@signature-params": ${input.text}`].join("\n"));
}

/** RFC 9421 §2.1 and §2.2. */
function componentValues(target: Target, headers: HeaderLines): (component: string) => string | undefined {
  const url = wholeUrl(target.url);
  const derived = new Map([
    ["@method", target.method ?? ""],
    ["@authority", url.host],
    ["@scheme", url.protocol.slice(0, -1)],
    ["@path", url.pathname],
    ["@query", url.search || "?"],
  ]);
  return (component) => {
    if (component.startsWith("@")) return derived.get(component);
    const lines = headers.get(component);
    if (lines?.some((line) => /[\r\n]/.test(line))) throw malformed("A header holds a line break.");
    return lines?.map((line) => line.replace(/^[ \t]+|[ \t]+$/g, "")).join(", ");
  };
}

function wholeUrl(url: string | undefined): URL {
  try {
    const found = new URL(url ?? "");
    if (found.protocol === "https:" || found.protocol === "http:") return found;
  } catch {
    // Said below.
  }
  throw malformed("Give the whole URL of the request, as the sender knows it.");
}

function field(headers: HeaderLines, name: string): string {
  const lines = headers.get(name);
  if (lines === undefined) throw malformed(`The header ${name} is missing.`);
  return lines.join(", ");
}

function text(parameters: Parameters, name: string): string | undefined {
  const found = parameters.get(name);
  return found?.kind === "string" ? found.value : undefined;
}

function number(parameters: Parameters, name: string): number | undefined {
  const found = parameters.get(name);
  return found?.kind === "integer" ? found.value : undefined;
}

function isBare(value: Member["value"] | undefined): value is Bare {
  return value !== undefined && !Array.isArray(value);
}
