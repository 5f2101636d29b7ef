// Passkeys: asking the browser for one, and what went wrong in words. The server decides what is good.

/** What the browser or its owner did not do. The message is for the person. */
export class PasskeyFailure extends Error {}

/**
 * @typedef {object} Assertion in base64url
 * @property {string} credential
 * @property {string} authenticator_data
 * @property {string} client_data_json
 * @property {string} signature
 */

/**
 * @typedef {object} Registration in base64url
 * @property {string} authenticator_data
 * @property {string} client_data_json
 */

const WAIT_MS = 5 * 60_000;

/** @param {ArrayBuffer} buffer */
function written(buffer) {
  let text = "";
  for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
  return btoa(text).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {string} text base64url */
function read(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/**
 * @param {unknown} error what the browser threw
 * @returns {PasskeyFailure}
 */
function told(error) {
  const name = error instanceof DOMException ? error.name : "";
  /** @type {Record<string, string>} */
  const words = {
    NotAllowedError: "Nothing was confirmed: it was cancelled, it took too long, or the passkey is not on this device. You can try again.",
    AbortError: "Nothing was confirmed. You can try again.",
    InvalidStateError: "This device has a passkey for this request already. Reload the page and use that one.",
    SecurityError: "This browser does not use passkeys on this address. Please open the link from your mail in another browser.",
    NotSupportedError: "This device cannot make a passkey of the kind that is needed. Please use another device.",
    ConstraintError: "This device cannot check that it is you. Set a PIN, a finger or a face on it, or use another device.",
  };
  return new PasskeyFailure(words[name] ?? "The passkey did not answer. Please try again, or use another device.");
}

function needed() {
  if (typeof PublicKeyCredential === "function") return;
  throw new PasskeyFailure("This browser has no passkeys. Please use a current version of Chrome, Edge, Firefox or Safari.");
}

/**
 * Makes a passkey.
 * @param {{challenge: string, relying_party: string, organization: string, user: string, title: string, name: string}} asked
 * @returns {Promise<Registration>}
 */
export async function makePasskey(asked) {
  needed();
  let made;
  try {
    made = await navigator.credentials.create({
      publicKey: {
        challenge: read(asked.challenge),
        rp: { id: asked.relying_party, name: "Countersign" },
        user: { id: read(asked.user), name: `${asked.title} (${asked.organization})`, displayName: asked.name },
        pubKeyCredParams: [
          { type: "public-key", alg: -8 },
          { type: "public-key", alg: -7 },
        ],
        authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
        attestation: "none",
        timeout: WAIT_MS,
      },
    });
  } catch (error) {
    throw told(error);
  }
  const { response } = /** @type {PublicKeyCredential} */ (made);
  const answer = /** @type {AuthenticatorAttestationResponse} */ (response);
  return { authenticator_data: written(answer.getAuthenticatorData()), client_data_json: written(answer.clientDataJSON) };
}

/**
 * Uses the registered passkey.
 * @param {{challenge: string, relying_party: string, credential: string}} asked
 * @returns {Promise<Assertion>}
 */
export async function usePasskey(asked) {
  needed();
  let used;
  try {
    used = await navigator.credentials.get({
      publicKey: {
        challenge: read(asked.challenge),
        rpId: asked.relying_party,
        allowCredentials: [{ type: "public-key", id: read(asked.credential) }],
        userVerification: "required",
        timeout: WAIT_MS,
      },
    });
  } catch (error) {
    throw told(error);
  }
  const credential = /** @type {PublicKeyCredential} */ (used);
  const answer = /** @type {AuthenticatorAssertionResponse} */ (credential.response);
  return {
    credential: written(credential.rawId),
    authenticator_data: written(answer.authenticatorData),
    client_data_json: written(answer.clientDataJSON),
    signature: written(answer.signature),
  };
}
