/** Keys of an endpoint: the shared secret, and public keys. Each verifies with the platform's Web Crypto alone. */

import { fromBase64, fromBase64Url, toBase64Url, type Bytes } from "./bytes.js";
import { isIdentifier } from "./form.js";
import { WebhookConfigurationError } from "./refused.js";

/** `hmac-sha256` is `v1`, `ed25519` is `v1a`; the last three are those of HTTP Message Signatures. */
export type Algorithm = "hmac-sha256" | "ed25519" | "ecdsa-p256-sha256" | "rsa-pss-sha512";

/** Gives the keys with these ids, as far as it has them. It may throw when it cannot know. */
export interface KeySource {
  find(keyIds: readonly string[], nowMilliseconds: number): Promise<readonly VerificationKey[]>;
  /** Why it may lack keys that there are, for logs. */
  readonly failure?: string | undefined;
}

/** A key as the console shows it. */
export interface KeyText {
  /** `whk_…` */
  readonly id: string;
  /** `whsec_…`, for `v1`. */
  readonly secret?: string;
  /** `whpk_…`, for `v1a`. */
  readonly public?: string;
}

interface Scheme {
  readonly usage: AlgorithmIdentifier | RsaHashedImportParams | EcKeyImportParams | HmacImportParams;
  readonly verification: AlgorithmIdentifier | RsaPssParams | EcdsaParams;
  readonly signatureBytes: number | undefined;
}

const SCHEMES: Record<Algorithm, Scheme> = {
  "hmac-sha256": { usage: { name: "HMAC", hash: "SHA-256" }, verification: "HMAC", signatureBytes: 32 },
  ed25519: { usage: "Ed25519", verification: "Ed25519", signatureBytes: 64 },
  "ecdsa-p256-sha256": {
    usage: { name: "ECDSA", namedCurve: "P-256" },
    verification: { name: "ECDSA", hash: "SHA-256" },
    signatureBytes: 64,
  },
  "rsa-pss-sha512": {
    usage: { name: "RSA-PSS", hash: "SHA-512" },
    verification: { name: "RSA-PSS", saltLength: 64 },
    signatureBytes: undefined,
  },
};

const RSA_BYTES_MIN = 256;
const RSA_BYTES_MAX = 512;

/** One key of one algorithm. */
export class VerificationKey {
  readonly id: string;
  readonly algorithm: Algorithm;
  readonly #material: Bytes | JsonWebKey;
  #imported: Promise<CryptoKey> | undefined;

  constructor(id: string, algorithm: Algorithm, material: Bytes | JsonWebKey) {
    this.id = id;
    this.algorithm = algorithm;
    this.#material = material;
  }

  /** Whether the signature over `text` is by this key, in time that does not tell where the two differ. */
  async verifies(signature: Bytes, text: Bytes): Promise<boolean> {
    const { verification, signatureBytes } = SCHEMES[this.algorithm];
    if (signatureBytes !== undefined && signature.byteLength !== signatureBytes) return false;
    const key = await this.imported();
    const subtle = await platformCrypto();
    return subtle.verify(verification, key, signature, text).catch(() => false);
  }

  /** The key as the platform holds it; fails if the platform cannot use it. */
  imported(): Promise<CryptoKey> {
    this.#imported ??= importKey(this.#material, SCHEMES[this.algorithm].usage);
    return this.#imported;
  }
}

async function importKey(material: Bytes | JsonWebKey, usage: Scheme["usage"]): Promise<CryptoKey> {
  const subtle = await platformCrypto();
  if (material instanceof Uint8Array) return subtle.importKey("raw", material, usage, false, ["verify"]);
  return subtle.importKey("jwk", material, usage, false, ["verify"]);
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await (await platformCrypto()).digest("SHA-256", bytes));
}

let found: Promise<SubtleCrypto> | undefined;

/** `globalThis.crypto`; Node 18 has it in a module only, which bundlers for other platforms must not look for. */
function platformCrypto(): Promise<SubtleCrypto> {
  found ??= (async () => {
    if (globalThis.crypto?.subtle !== undefined) return globalThis.crypto.subtle;
    const module = "node:crypto";
    const { webcrypto } = (await import(module)) as { webcrypto: Crypto };
    return webcrypto.subtle;
  })();
  return found;
}

/** Keys that are known from the start: while one is rotated, both. */
export function staticKeys(keys: readonly KeyText[]): KeySource {
  return sourceOf(keys.flatMap(keysOfText));
}

/** A JWK set that was read before. {@link RemoteJwkSet} fetches one and keeps it fresh. */
export function jwkSet(set: unknown): KeySource {
  const keys = keysOfSet(set);
  if (keys === undefined) throw new WebhookConfigurationError("This is no JWK set: it has no list of keys.");
  return sourceOf(keys);
}

function sourceOf(keys: readonly VerificationKey[]): KeySource {
  return { find: (keyIds) => Promise.resolve(keys.filter((key) => keyIds.includes(key.id))) };
}

function keysOfText(text: KeyText): VerificationKey[] {
  if (!isIdentifier("whk_", text.id)) throw new WebhookConfigurationError("A key's id is whk_ and 26 characters.");
  const keys: VerificationKey[] = [];
  if (text.secret !== undefined) {
    keys.push(new VerificationKey(text.id, "hmac-sha256", material(text.secret, "whsec_", "secret")));
  }
  if (text.public !== undefined) {
    keys.push(new VerificationKey(text.id, "ed25519", material(text.public, "whpk_", "public key")));
  }
  if (keys.length === 0) throw new WebhookConfigurationError("Give a secret, a public key, or both, for each key id.");
  return keys;
}

function material(text: string, prefix: string, what: string): Bytes {
  const bytes = text.startsWith(prefix) ? fromBase64(text.slice(prefix.length)) : undefined;
  if (bytes?.byteLength !== 32) {
    throw new WebhookConfigurationError(`A ${what} is ${prefix} and base64 of 32 bytes, as the console shows it.`);
  }
  return bytes;
}

const KEYS_MAX = 32;

/** The keys of a set that can be used; others are skipped. `undefined` if it is no set. */
export function keysOfSet(set: unknown): VerificationKey[] | undefined {
  if (typeof set !== "object" || set === null || !("keys" in set) || !Array.isArray(set.keys)) return undefined;
  if (set.keys.length > KEYS_MAX) return undefined;
  return set.keys.flatMap((key: unknown) => keyOfJwk(key) ?? []);
}

/** RFC 7517 §4, RFC 7518 §6, RFC 8037 §2. */
function keyOfJwk(jwk: unknown): VerificationKey | undefined {
  if (typeof jwk !== "object" || jwk === null) return undefined;
  const { kid, kty, crv, use, alg, x, y, n, e } = jwk as Record<string, unknown>;
  if (typeof kid !== "string" || !isIdentifier("whk_", kid)) return undefined;
  if (use !== undefined && use !== "sig") return undefined;
  const is = (...names: string[]) => alg === undefined || (typeof alg === "string" && names.includes(alg));
  if (kty === "OKP" && crv === "Ed25519" && is("EdDSA", "Ed25519")) {
    const point = bytesOf(x, 32, 32);
    return point && new VerificationKey(kid, "ed25519", point);
  }
  if (kty === "EC" && crv === "P-256" && is("ES256")) {
    const [first, second] = [bytesOf(x, 32, 32), bytesOf(y, 32, 32)];
    if (first === undefined || second === undefined) return undefined;
    const key = { kty, crv, x: toBase64Url(first), y: toBase64Url(second) };
    return new VerificationKey(kid, "ecdsa-p256-sha256", key);
  }
  if (kty === "RSA" && is("PS512")) {
    const [modulus, exponent] = [bytesOf(n, RSA_BYTES_MIN, RSA_BYTES_MAX), bytesOf(e, 1, 4)];
    if (modulus === undefined || exponent === undefined || !modulus[0]) return undefined;
    return new VerificationKey(kid, "rsa-pss-sha512", { kty, n: toBase64Url(modulus), e: toBase64Url(exponent) });
  }
  return undefined;
}

function bytesOf(text: unknown, min: number, max: number): Bytes | undefined {
  const bytes = typeof text === "string" ? fromBase64Url(text) : undefined;
  return bytes !== undefined && bytes.byteLength >= min && bytes.byteLength <= max ? bytes : undefined;
}
