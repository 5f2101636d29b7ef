// The review: documents, values and mark once more, in words, before the one button.

import { element } from "./ceremony.js";
import { readableFilled } from "./filled.js";
import { markElement } from "./mark.js";

/** @typedef {import("./ceremony.js").Ceremony} Ceremony */
/** @typedef {import("./ceremony.js").Work} Work */
/** @typedef {import("./documents.js").OpenDocument} OpenDocument */

/**
 * @param {Ceremony} ceremony
 * @param {Work} work
 * @param {OpenDocument[]} documents
 * @param {(owner: OpenDocument) => number} seenCount
 */
export function fillReview(ceremony, work, documents, seenCount) {
  element("review-documents").replaceChildren(
    ...documents.map((owner) => {
      const [item, part, hash] = [document.createElement("li"), document.createElement("div"), line("hash")];
      const name = document.createElement("strong");
      name.textContent = owner.about.name;
      const title = line("");
      title.append(name);
      const pages = line("small quiet");
      const total = owner.pdf.numPages;
      pages.textContent = `${total} ${total === 1 ? "page" : "pages"}, ${seenCount(owner)} of them shown to you`;
      hash.textContent = `SHA-256 ${owner.sha256}`;
      part.append(title, pages, hash);
      item.append(part);
      return item;
    }),
  );
  const theirs = ceremony.filled.flatMap(rowOfAnother);
  element("review-others").replaceChildren(...theirs);
  element("review-others-part").hidden = theirs.length === 0;
  const rows = ceremony.fields.flatMap((field) => {
    const value = readable(ceremony, work, field);
    return value === null ? [] : [row(field.kind.group ?? field.label, value)];
  });
  element("review-values").replaceChildren(...rows);
  element("review-values-part").hidden = rows.length === 0;
  element("review-mark-part").hidden = work.mark === null;
  if (work.mark) {
    const spoken = document.createElement("span");
    spoken.className = "visually-hidden";
    spoken.textContent = work.mark.method === "typed" ? "Typed:" : "A drawing, adopted as your signature";
    element("review-mark").replaceChildren(spoken, markElement(work.mark, false, ceremony.initials));
  }
}

/**
 * What another has filled in.
 * @param {import("./ceremony.js").Filled} filled
 */
function rowOfAnother(filled) {
  const { field, value, mark, by } = filled;
  if (field.kind.kind === "radio" && value !== "true") return [];
  const made = row(field.kind.group ?? field.label, field.kind.group ? field.label : readableFilled(filled));
  const who = document.createElement("span");
  who.className = "small quiet by";
  who.textContent = `by ${by}`;
  made.querySelector("th")?.append(who);
  if (mark) {
    const [spoken, shown] = [document.createElement("span"), document.createElement("span")];
    spoken.className = "visually-hidden";
    spoken.textContent = mark.method === "typed" ? "Typed:" : readableFilled(filled);
    shown.className = "mark-small";
    shown.append(markElement(mark, false, ""));
    made.querySelector("td")?.replaceChildren(spoken, shown);
  }
  return [made];
}

/** @param {string} className */
function line(className) {
  const paragraph = document.createElement("p");
  paragraph.className = className;
  return paragraph;
}

/** @param {string} label @param {string} value */
function row(label, value) {
  const [row, name, cell] = [document.createElement("tr"), document.createElement("th"), document.createElement("td")];
  name.scope = "row";
  name.textContent = label;
  cell.textContent = value;
  row.append(name, cell);
  return row;
}

/**
 * @param {Ceremony} ceremony
 * @param {Work} work
 * @param {import("./ceremony.js").Field} field
 * @returns {string | null} nothing for what has its own place in the review
 */
function readable(ceremony, work, field) {
  const value = work.values[field.id] ?? "";
  switch (field.kind.kind) {
    case "signature":
    case "initials":
      return null;
    case "name":
      return ceremony.recipient;
    case "email":
      return ceremony.email;
    case "date_signed":
      return "the date of the moment you press the button";
    case "checkbox":
      return value === "true" ? "yes" : "no";
    case "radio":
      return value === "true" ? field.label : null;
    default:
      return value.trim() ? value : "(left empty)";
  }
}
