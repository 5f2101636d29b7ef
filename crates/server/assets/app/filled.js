// What others have filled in: drawn on the pages where the sealed document will have it, and not to be changed.

import { boxAt } from "./fields.js";
import { markBox, markElement } from "./mark.js";

/** @typedef {import("./ceremony.js").Ceremony} Ceremony */
/** @typedef {import("./ceremony.js").Filled} Filled */
/** @typedef {import("./pages.js").Pages} Pages */

const SPACE = "http://www.w3.org/2000/svg";
const SMALLEST_PT = 4;

/**
 * @param {Ceremony} ceremony
 * @param {Pages} pages
 */
export function placeFilled(ceremony, pages) {
  for (const filled of ceremony.filled) {
    const page = pages.find(filled.field.document, filled.field.page);
    if (!page) continue;
    const box = boxAt(filled.field, page);
    box.classList.add("theirs");
    box.classList.toggle("several", filled.field.kind.multiline === true);
    box.classList.toggle("number", filled.field.kind.kind === "number");
    box.title = named(filled);
    const spoken = document.createElement("span");
    spoken.className = "visually-hidden";
    spoken.textContent = `${named(filled)}: ${hasPicture(filled) ? readableFilled(filled) : ""}`;
    const shown = document.createElement("span");
    shown.className = "their-value";
    shown.append(picture(filled) ?? readableFilled(filled));
    if (hasPicture(filled)) shown.setAttribute("aria-hidden", "true");
    box.append(spoken, shown);
    page.box.append(box);
    if (!hasPicture(filled)) shrink(box, shown);
  }
}

/** @param {Filled} filled */
export function named({ field, by }) {
  return `${field.label}, filled in by ${by}`;
}

/** @param {Filled} filled */
function hasPicture({ field }) {
  return ["signature", "initials", "checkbox", "radio"].includes(field.kind.kind);
}

/**
 * A value in words.
 * @param {Filled} filled
 * @returns {string}
 */
export function readableFilled({ field, value, mark }) {
  if (mark) return mark.method === "typed" ? mark.value : "a drawn signature";
  if (field.kind.kind === "checkbox") return value === "true" ? "yes" : "no";
  if (field.kind.kind === "radio") return value === "true" ? "chosen" : "not chosen";
  return value ?? "";
}

/**
 * A mark, or a box with or without a tick; nothing for text.
 * @param {Filled} filled
 * @returns {Element | null}
 */
function picture({ field, value, mark, by }) {
  if (mark) return markBox(field, markElement(mark, false, ""), by);
  if (field.kind.kind === "initials") {
    return markBox(field, markElement({ method: "typed", value: "" }, true, value ?? ""), null);
  }
  if (field.kind.kind === "checkbox") {
    const shapes = [shape("rect", { x: 4, y: 4, width: 92, height: 92, fill: "none", "stroke-width": 7 })];
    if (value === "true") shapes.push(shape("polyline", { points: "22,54 42,74 79,27", fill: "none", "stroke-width": 11 }));
    return drawn(shapes);
  }
  if (field.kind.kind === "radio") {
    const shapes = [shape("circle", { cx: 50, cy: 50, r: 46, fill: "none", "stroke-width": 7 })];
    if (value === "true") shapes.push(shape("circle", { cx: 50, cy: 50, r: 27, fill: "currentColor" }));
    return drawn(shapes);
  }
  return null;
}

/** @param {string} name @param {Record<string, string | number>} attributes */
function shape(name, attributes) {
  const element = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.setAttribute("stroke", "currentColor");
  return element;
}

/** @param {Element[]} shapes */
function drawn(shapes) {
  const picture = document.createElementNS(SPACE, "svg");
  picture.setAttribute("viewBox", "0 0 100 100");
  picture.setAttribute("class", "their-tick");
  picture.append(...shapes);
  return picture;
}

/**
 * Makes text smaller until all of it is seen, as the sealed document does.
 * @param {HTMLElement} box
 * @param {HTMLElement} shown
 */
function shrink(box, shown) {
  let size = Number(box.style.getPropertyValue("--field-size"));
  while (size > SMALLEST_PT && (shown.scrollHeight > box.clientHeight + 1 || shown.scrollWidth > box.clientWidth + 1)) {
    size = Math.max(SMALLEST_PT, size * 0.94);
    box.style.setProperty("--field-size", String(size));
  }
}
