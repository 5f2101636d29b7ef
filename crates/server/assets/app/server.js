// Requests to the server this page came from: JSON in, JSON out, and one kind of error for all that can go wrong.

/**
 * @typedef {object} About what was sent, for a page that says why it cannot be opened any more
 * @property {string} organization
 * @property {string} title
 * @property {boolean} sandbox
 * @property {boolean} by_you whether the reader declined it
 */

const MOVED_ON = ["voided", "declined", "expired", "already_done", "session_ended", "consent_missing", "factor_missing", "not_your_turn"];

/** What the server refused, or that it did not answer. */
export class Refused extends Error {
  /**
   * @param {string} code stable code of the refusal; `no_answer` if there was none
   * @param {string} sentence what to tell the reader
   * @param {string | undefined} [pointer] JSON Pointer to the offending part of the request
   * @param {About} [about]
   */
  constructor(code, sentence, pointer, about) {
    super(sentence);
    this.code = code;
    this.pointer = pointer;
    this.about = about;
  }

  /** Whether the ceremony has moved on: the server knows which page is right now. */
  get hasMovedOn() {
    return MOVED_ON.includes(this.code);
  }
}

/**
 * @param {string} path
 * @param {unknown} body
 * @returns {Promise<Response>} an answer that is a success
 */
export async function post(path, body) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json, application/pdf" },
      body: JSON.stringify(body),
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
    });
  } catch {
    throw new Refused("no_answer", "The server did not answer. Check your connection and try again.");
  }
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  const sentence = problem.detail ?? "Something went wrong on our side. Please try again in a moment.";
  const spoken = sentence.charAt(0).toUpperCase() + sentence.slice(1);
  throw new Refused(problem.code ?? "internal_error", spoken, problem.pointer, problem.about);
}

/** The reader's time zone, as the browser names it. */
export function timeZone() {
  return Intl.DateTimeFormat().resolvedOptions().timeZone ?? null;
}
