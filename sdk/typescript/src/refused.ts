/** Why a request is not taken: the one error that verification throws. */

/**
 * What is wrong, as in the table of the wire format, and two more: `not_an_event` (a right signature over something
 * else), and `unavailable` (keys or store could not be asked, which is the receiver's own fault).
 */
export type RefusalCode =
  | "too_large"
  | "unsupported_encoding"
  | "malformed"
  | "stale"
  | "future"
  | "unknown_key"
  | "bad_signature"
  | "replayed"
  | "not_an_event"
  | "unavailable";

const STATUS: Record<RefusalCode, number> = {
  too_large: 413,
  unsupported_encoding: 415,
  malformed: 400,
  stale: 408,
  future: 400,
  unknown_key: 401,
  bad_signature: 401,
  replayed: 409,
  not_an_event: 400,
  unavailable: 503,
};

/**
 * The request is refused. Answer with `status`; `message` says what to do, and holds nothing of the request.
 * After 503 the sender tries again.
 */
export class WebhookRefused extends Error {
  override readonly name = "WebhookRefused";
  readonly code: RefusalCode;
  readonly status: number;

  constructor(code: RefusalCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = STATUS[code];
  }
}

/** A key or a setting that cannot be used, found when it is given and not when a webhook arrives. */
export class WebhookConfigurationError extends Error {
  override readonly name = "WebhookConfigurationError";
}

export function malformed(message: string, cause?: unknown): WebhookRefused {
  return new WebhookRefused("malformed", message, cause);
}
