// Documents: fetched once, hashed, compared with what the sender uploaded, and only those same bytes go to PDF.js.

import { Refused, post } from "./server.js";

/** @typedef {import("./ceremony.js").CeremonyDocument} CeremonyDocument */
/** @typedef {import("./ceremony.js").Ceremony} Ceremony */

/**
 * @typedef {object} OpenDocument
 * @property {CeremonyDocument} about
 * @property {string} sha256 of the bytes that are rendered, in hexadecimal
 * @property {any} pdf the document as PDF.js holds it
 */

/**
 * Loads PDF.js with a worker that can be made from one address only.
 * @param {string} folder
 */
async function loadRenderer(folder) {
  const workerAddress = `${folder}pdf.worker.min.mjs`;
  const policy = globalThis.trustedTypes?.createPolicy("pdf-worker", {
    createScriptURL(/** @type {string} */ address) {
      if (address !== workerAddress) throw new TypeError("only the worker of PDF.js may be started");
      return address;
    },
  });
  const pdfjs = await import(`${folder}pdf.min.mjs`);
  const address = policy ? policy.createScriptURL(workerAddress) : workerAddress;
  pdfjs.GlobalWorkerOptions.workerPort = new Worker(address, { type: "module" });
  return pdfjs;
}

/** @param {ArrayBuffer} bytes */
async function sha256(bytes) {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * @param {Ceremony} ceremony
 * @returns {Promise<{pdfjs: any, documents: OpenDocument[]}>}
 */
export async function openDocuments(ceremony) {
  const renderer = loadRenderer(ceremony.pdfjs);
  const fetched = await Promise.all(
    ceremony.documents.map(async (about) => {
      const answer = await post(`${ceremony.base}/documents/${about.id}`, { session: ceremony.session });
      const bytes = await answer.arrayBuffer();
      const digest = await sha256(bytes);
      if (digest !== about.sha256) {
        throw new Refused(
          "document_changed",
          `“${about.name}” is not the document that the sender uploaded. Nothing can be signed; please tell the sender.`,
        );
      }
      return { about, bytes, sha256: digest };
    }),
  );
  const pdfjs = await renderer;
  const documents = await Promise.all(
    fetched.map(async ({ about, bytes, sha256: digest }) => {
      const task = pdfjs.getDocument({
        data: new Uint8Array(bytes),
        cMapUrl: `${ceremony.pdfjs}cmaps/`,
        standardFontDataUrl: `${ceremony.pdfjs}standard_fonts/`,
        wasmUrl: `${ceremony.pdfjs}decoders/`,
        useWasm: false,
        enableXfa: false,
        isEvalSupported: false,
        // The same glyphs on every device: standard fonts come from us, not from the system.
        useSystemFonts: false,
        disableWorkerRendering: true,
        verbosity: pdfjs.VerbosityLevel.ERRORS,
      });
      return { about, sha256: digest, pdf: await task.promise };
    }),
  );
  return { pdfjs, documents };
}
