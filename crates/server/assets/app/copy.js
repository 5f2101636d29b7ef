// Copies what stands in a field. Without a script, or without the right to, it is selected and copied by hand.

import "./page.js";

for (const place of document.querySelectorAll("[data-copy]")) {
  const field = document.getElementById(/** @type {HTMLElement} */ (place).dataset.copy ?? "");
  if (!(field instanceof HTMLInputElement)) continue;
  const said = place.querySelector("[role=status]");
  const say = (/** @type {string} */ words) => {
    if (said) said.textContent = words;
  };
  /** @type {HTMLElement} */ (place).hidden = false;
  place.querySelector("button")?.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      say("Copied.");
    } catch {
      say("It is selected: copy it with the keys of your system.");
    }
  });
}
