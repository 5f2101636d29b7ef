// Shows a password to whoever types it, and hides it again.

import "./page.js";

for (const button of document.querySelectorAll("button[data-reveal]")) {
  const field = /** @type {HTMLInputElement | null} */ (
    document.getElementById(/** @type {HTMLElement} */ (button).dataset.reveal ?? "")
  );
  if (!field) continue;
  const words = /** @type {Text} */ (button.firstChild);
  /** @param {boolean} shown */
  const set = (shown) => {
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    words.data = shown ? "Hide" : "Show";
  };
  button.addEventListener("click", () => set(field.type === "password"));
  // A browser keeps what is sent as text among the things that it proposes.
  field.form?.addEventListener("submit", () => set(false));
  /** @type {HTMLElement} */ (button).hidden = false;
}
