// Reads a mail as our own server writes it (RFC 5322, 2045, 2047): enough for the sandbox mailbox, no more.

/**
 * @typedef {object} Mail
 * @property {string} subject
 * @property {string} to
 * @property {string} text
 */

/**
 * @param {string} message
 * @returns {Mail}
 */
export function readMail(message) {
  const { headers, body } = split(message);
  return {
    subject: words(headers.get("subject") ?? "(no subject)"),
    to: words(headers.get("to") ?? ""),
    text: textOf(headers, body) ?? "",
  };
}

/** @param {string} part @returns {{headers: Map<string, string>, body: string}} */
function split(part) {
  const end = part.search(/\r?\n\r?\n/);
  const head = end < 0 ? part : part.slice(0, end);
  const body = end < 0 ? "" : part.slice(end).replace(/^\r?\n\r?\n/, "");
  const lines = head.replace(/\r?\n[ \t]+/g, " ").split(/\r?\n/);
  const pairs = lines.map((line) => /^([^:]+):\s*(.*)$/.exec(line)).filter((found) => found !== null);
  return { headers: new Map(pairs.map(([, name, value]) => [(name ?? "").toLowerCase(), value ?? ""])), body };
}

/**
 * The plain text of a part, or of the first part in it that has one.
 * @param {Map<string, string>} headers
 * @param {string} body
 * @returns {string | null}
 */
function textOf(headers, body) {
  const type = headers.get("content-type") ?? "text/plain";
  const boundary = /boundary="?([^";]+)"?/i.exec(type)?.[1];
  if (/^multipart\//i.test(type) && boundary) {
    for (const part of body.split(`--${boundary}`).slice(1)) {
      if (part.startsWith("--")) break;
      const inner = split(part.replace(/^\r?\n/, ""));
      const text = textOf(inner.headers, inner.body);
      if (text !== null) return text;
    }
    return null;
  }
  if (!/^text\/plain/i.test(type)) return null;
  return decode(headers.get("content-transfer-encoding") ?? "7bit", body).replaceAll("\r\n", "\n").trim();
}

/** @param {string} encoding @param {string} body */
function decode(encoding, body) {
  switch (encoding.trim().toLowerCase()) {
    case "base64":
      return utf8(atob(body.replace(/\s/g, "")));
    case "quoted-printable":
      return quoted(body.replace(/=\r?\n/g, ""));
    default:
      return body;
  }
}

/** @param {string} text */
function quoted(text) {
  // Runs of escapes are bytes of UTF-8; all else is ASCII already.
  return text.replace(/(?:=[0-9A-F]{2})+/gi, (run) =>
    utf8(run.slice(1).split("=").map((hex) => String.fromCharCode(parseInt(hex, 16))).join("")),
  );
}

/** @param {string} bytes one character for each byte */
function utf8(bytes) {
  return new TextDecoder().decode(Uint8Array.from(bytes, (character) => character.charCodeAt(0)));
}

/** Encoded words in a header (RFC 2047). @param {string} text */
function words(text) {
  return text
    .replace(/\?=\s+=\?/g, "?==?")
    .replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, (_, how, word) =>
      how.toLowerCase() === "b" ? utf8(atob(word)) : quoted(word.replaceAll("_", " ")),
    );
}
