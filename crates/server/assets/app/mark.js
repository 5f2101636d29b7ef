// A signature as the sealed document shows it: in the same face and colour, in the middle, and as large as it fits.

import { pictureOf } from "./drawing.js";

/** @typedef {import("./ceremony.js").Field} Field */
/** @typedef {import("./ceremony.js").Mark} Mark */

const SPACE = "http://www.w3.org/2000/svg";
const MEASURED_PX = 100;
/** As `crates/pdf/src/place/draw.rs` has it: larger than this a short name looks like a poster. */
const LARGEST_PT = 40;

/** Loads the face of typed signatures: what is measured before it came is measured in another. */
export async function loadHand() {
  // Without it the browser's own cursive stands in.
  await document.fonts.load(`${MEASURED_PX}px "Countersign Hand"`).catch(() => {});
}

/**
 * A name as it is sealed.
 * @param {string} name
 * @returns {SVGSVGElement}
 */
function typedMark(name) {
  const picture = document.createElementNS(SPACE, "svg");
  const text = document.createElementNS(SPACE, "text");
  text.textContent = name;
  text.setAttribute("font-size", String(MEASURED_PX));
  const context = document.createElement("canvas").getContext("2d");
  if (context) {
    context.font = `${MEASURED_PX}px ${getComputedStyle(document.documentElement).getPropertyValue("--hand")}`;
    const ink = context.measureText(name);
    const [left, top] = [-ink.actualBoundingBoxLeft, -ink.actualBoundingBoxAscent];
    const width = Math.max(1, ink.actualBoundingBoxRight - left);
    const height = Math.max(1, ink.actualBoundingBoxDescent - top);
    picture.setAttribute("viewBox", `${left} ${top} ${width} ${height}`);
    const most = (/** @type {number} */ px) => `calc(${(px / MEASURED_PX) * LARGEST_PT}px * var(--total-scale-factor, 1.333))`;
    picture.style.setProperty("max-width", most(width));
    picture.style.setProperty("max-height", most(height));
  }
  picture.setAttribute("class", "mark-typed");
  picture.append(text);
  return picture;
}

/**
 * The mark as it is shown.
 * @param {Mark} mark
 * @param {boolean} short initials only
 * @param {string} initials
 * @returns {SVGSVGElement}
 */
export function markElement(mark, short, initials) {
  if (short) return typedMark(initials);
  return mark.method === "drawn" ? pictureOf(mark.value) : typedMark(mark.value);
}

/**
 * The mark in its field, above the strip that the sealed document keeps for who signed when.
 * @param {Field} field
 * @param {SVGSVGElement} mark
 * @param {string | null} name what stands in the strip; initials have none
 * @returns {HTMLElement}
 */
export function markBox(field, mark, name) {
  const [box, pad] = [document.createElement("span"), document.createElement("span")];
  box.className = "mark-box";
  pad.className = "mark-pad";
  pad.append(mark);
  box.append(pad);
  if (name !== null) {
    const strip = document.createElement("span");
    const { size, lines } = smallPrint(field, Math.max(20, name.length));
    strip.className = "mark-strip";
    strip.setAttribute("aria-hidden", "true");
    strip.textContent = name;
    strip.style.setProperty("--strip-size", String(size));
    strip.style.setProperty("--strip-lines", String(lines));
    box.append(strip);
  }
  return box;
}

/**
 * Size in points and lines of the small print, near enough to what `crates/pdf/src/place/draw.rs` finds.
 * @param {Field} field
 * @param {number} name_chars
 */
function smallPrint(field, name_chars) {
  const [width, height] = [field.rect.width_cpt / 100, field.rect.height_cpt / 100];
  const [room, most] = [width - 2 * Math.min(4, width * 0.03), height * 0.46];
  // The name, the moment and the envelope's number, at half an em each.
  const width_em = (name_chars + 57) * 0.54;
  let size = Math.max(3, Math.min(6.5, height / 7.5));
  while (size > 3 && Math.ceil((width_em * size) / room) * size * 1.36 > most) size -= 0.25;
  return { size, lines: Math.min(Math.ceil((width_em * size) / room), Math.max(1, Math.floor(most / (size * 1.36)))) };
}
