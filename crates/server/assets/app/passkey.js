// Passkeys: from the server's JSON to what browsers take, and back (WebAuthn Level 3 §5.1).

/** Whether this browser knows passkeys. */
export const hasPasskeys = typeof PublicKeyCredential === "function" && Boolean(navigator.credentials);

/** @param {string} text base64url @returns {ArrayBuffer} */
function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0)).buffer;
}

/** @param {ArrayBuffer | null | undefined} buffer @returns {string | null} */
function text(buffer) {
  if (!buffer) return null;
  const plain = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** @param {{id: string}[] | undefined} known */
function withBytes(known) {
  return (known ?? []).map((one) => ({ ...one, id: bytes(one.id) }));
}

/**
 * Makes a passkey.
 * @param {{options: {publicKey: any}, state: string}} asked
 */
export async function make(asked) {
  const { publicKey } = asked.options;
  const made = /** @type {any} */ (
    await navigator.credentials.create({
      publicKey: {
        ...publicKey,
        challenge: bytes(publicKey.challenge),
        user: { ...publicKey.user, id: bytes(publicKey.user.id) },
        excludeCredentials: withBytes(publicKey.excludeCredentials),
      },
    })
  );
  return {
    state: asked.state,
    credential: {
      id: made.id,
      rawId: text(made.rawId),
      type: made.type,
      response: {
        attestationObject: text(made.response.attestationObject),
        clientDataJSON: text(made.response.clientDataJSON),
      },
      extensions: {},
    },
  };
}

/**
 * Asks for a passkey.
 * @param {{options: {publicKey: any}, state: string}} asked
 * @param {{mediation?: "conditional", signal?: AbortSignal}} [how]
 */
export async function use(asked, how = {}) {
  const { publicKey } = asked.options;
  const found = /** @type {any} */ (
    await navigator.credentials.get(
      /** @type {any} */ ({
        ...how,
        publicKey: {
          ...publicKey,
          challenge: bytes(publicKey.challenge),
          allowCredentials: withBytes(publicKey.allowCredentials),
        },
      }),
    )
  );
  return {
    state: asked.state,
    credential: {
      id: found.id,
      rawId: text(found.rawId),
      type: found.type,
      response: {
        authenticatorData: text(found.response.authenticatorData),
        clientDataJSON: text(found.response.clientDataJSON),
        signature: text(found.response.signature),
        userHandle: text(found.response.userHandle),
      },
      extensions: {},
    },
  };
}

/**
 * What to say when a browser gave no passkey; nothing if its user chose so.
 * @param {unknown} error
 */
export function words(error) {
  const name = error instanceof Error ? error.name : "";
  if (name === "AbortError") return "";
  if (name === "NotAllowedError") return "No passkey was used. Try again, or choose another way.";
  if (name === "InvalidStateError") return "This device has a passkey of your account already.";
  if (name === "Refused") return /** @type {Error} */ (error).message;
  return error instanceof Error && "code" in error && typeof error.code === "string"
    ? error.message
    : "This browser could not use a passkey here.";
}

/** A name for a passkey that its owner knows again. */
export function deviceName() {
  const agent = navigator.userAgent;
  const known = [
    ["iPhone", "iPhone"],
    ["iPad", "iPad"],
    ["Android", "Android device"],
    ["CrOS", "Chromebook"],
    ["Windows", "Windows computer"],
    ["Macintosh", "Mac"],
    ["Linux", "Linux computer"],
  ];
  return known.find(([part]) => agent.includes(part))?.[1] ?? "Passkey";
}
