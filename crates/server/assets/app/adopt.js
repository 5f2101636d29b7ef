// Adopting a signature: typing comes first and is equal to drawing.

import { element } from "./ceremony.js";
import { makePad } from "./drawing.js";
import { markElement } from "./mark.js";

/** @typedef {import("./ceremony.js").Mark} Mark */
/** @typedef {import("./ceremony.js").Ceremony} Ceremony */

/**
 * @param {Ceremony} ceremony
 * @param {(mark: Mark) => void} onAdopted
 * @returns {{ask: (current: Mark | null) => void}}
 */
export function makeAdoption(ceremony, onAdopted) {
  const dialog = /** @type {HTMLDialogElement} */ (element("adopt"));
  const form = /** @type {HTMLFormElement} */ (element("adopt-form"));
  const name = /** @type {HTMLInputElement} */ (element("typed-name"));
  const error = element("adopt-error");
  const pad = makePad(/** @type {HTMLCanvasElement} */ (element("pad")), () => (error.textContent = ""));

  const method = () => /** @type {"typed" | "drawn"} */ (new FormData(form).get("method"));
  /** The name as it will be sealed. */
  const preview = () => {
    const typed = name.value.trim();
    element("typed-preview").replaceChildren(...(typed ? [markElement({ method: "typed", value: typed }, false, "")] : []));
  };

  function showMethod() {
    element("adopt-typed").hidden = method() !== "typed";
    element("adopt-drawn").hidden = method() !== "drawn";
    error.textContent = "";
  }

  name.addEventListener("input", () => {
    preview();
    error.textContent = "";
    name.removeAttribute("aria-invalid");
  });
  for (const choice of form.querySelectorAll('input[name="method"]')) choice.addEventListener("change", showMethod);
  element("pad-clear").addEventListener("click", () => pad.clear());
  element("adopt-cancel").addEventListener("click", () => dialog.close());

  /** @returns {Mark | string} the mark, or what is missing */
  function adopted() {
    if (method() === "typed") {
      const value = name.value.trim();
      return value ? { method: "typed", value } : "Type your name first.";
    }
    if (pad.isEmpty()) return "Draw your signature first, or choose Type.";
    const value = pad.json();
    return value ? { method: "drawn", value } : "This drawing has too many lines. Clear it and draw again.";
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const result = adopted();
    if (typeof result !== "string") {
      dialog.close();
      onAdopted(result);
      return;
    }
    error.textContent = result;
    if (method() === "typed") {
      name.setAttribute("aria-invalid", "true");
      name.focus();
    }
  });

  const places = ceremony.fields.filter((field) => ["signature", "initials"].includes(field.kind.kind)).length;
  element("adopt-places").textContent =
    places > 1 ? `It will be placed where your signature or initials are asked for: ${places} places.` : "";

  return {
    ask(current) {
      if (!name.value) name.value = current?.method === "typed" ? current.value : ceremony.recipient;
      if (current?.method === "drawn" && pad.isEmpty()) pad.load(current.value);
      preview();
      showMethod();
      dialog.showModal();
      if (method() === "typed") name.focus();
    },
  };
}
