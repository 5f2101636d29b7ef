// Fields: real inputs over the pages, at the places that the sender chose.

import { markBox, markElement } from "./mark.js";

/** @typedef {import("./ceremony.js").Ceremony} Ceremony */
/** @typedef {import("./ceremony.js").Field} Field */
/** @typedef {import("./ceremony.js").Work} Work */
/** @typedef {import("./pages.js").Pages} Pages */

const MARKS = ["signature", "initials"];
const SET_BY_SERVER = ["date_signed", "name", "email"];
const DECIMAL = /^-?\d{1,30}(\.\d+)?$/;

/**
 * @typedef {object} Placed
 * @property {Field} field
 * @property {HTMLElement} box
 * @property {HTMLElement} control what is focused: an input, or the button of a mark
 * @property {HTMLElement} problem
 */

/** All fields of the reader. */
export class Fields {
  /**
   * @param {Ceremony} ceremony
   * @param {Work} work
   * @param {{onChange: () => void, onMark: () => void}} events
   */
  constructor(ceremony, work, events) {
    this.ceremony = ceremony;
    this.work = work;
    this.events = events;
    /** @type {Placed[]} */
    this.placed = [];
  }

  /** @param {Pages} pages */
  place(pages) {
    for (const field of this.ceremony.fields) {
      const page = pages.find(field.document, field.page);
      if (!page) continue;
      const box = boxAt(field, page);
      const problem = document.createElement("p");
      problem.className = "problem";
      problem.id = `problem-${field.id}`;
      const control = this.control(field);
      box.append(control, ...visibleLabel(field, control), problem);
      page.box.append(box);
      this.placed.push({ field, box, control, problem });
    }
    this.refresh();
  }

  /** @param {Field} field */
  control(field) {
    if (MARKS.includes(field.kind.kind)) return this.markButton(field);
    if (SET_BY_SERVER.includes(field.kind.kind)) return this.fixed(field);
    const control = this.input(field);
    control.id = field.id;
    control.setAttribute("aria-label", field.required ? `${field.label} (required)` : field.label);
    control.setAttribute("aria-describedby", `problem-${field.id}`);
    control.title = field.label;
    if (field.required && field.kind.kind !== "radio") control.required = true;
    const take = () => {
      this.take(field, control);
      this.events.onChange();
    };
    control.addEventListener("input", take);
    control.addEventListener("change", () => {
      take();
      this.tell(field, this.problemOf(field));
    });
    return control;
  }

  /**
   * @param {Field} field
   * @returns {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement}
   */
  input(field) {
    const kept = this.work.values[field.id];
    if (field.kind.kind === "dropdown") {
      const select = document.createElement("select");
      select.append(new Option(`${field.label} …`, ""), ...(field.kind.options ?? []).map((option) => new Option(option, option)));
      select.value = kept ?? "";
      return select;
    }
    const several = field.kind.kind === "text" && field.kind.multiline;
    const input = document.createElement(several ? "textarea" : "input");
    if (input instanceof HTMLInputElement && (field.kind.kind === "checkbox" || field.kind.kind === "radio")) {
      input.type = field.kind.kind;
      input.checked = kept === "true";
      if (field.kind.group) input.name = field.kind.group;
      return input;
    }
    input.value = kept ?? "";
    input.maxLength = field.kind.max_chars ?? 200;
    const complete = { company: "organization", title: "organization-title" };
    input.autocomplete = /** @type {any} */ (complete[/** @type {keyof typeof complete} */ (field.kind.kind)] ?? "off");
    if (field.kind.kind === "number") input.inputMode = "decimal";
    return input;
  }

  /** @param {Field} field */
  markButton(field) {
    const button = document.createElement("button");
    button.type = "button";
    button.id = field.id;
    button.setAttribute("aria-describedby", `problem-${field.id}`);
    button.addEventListener("click", () => this.events.onMark());
    return button;
  }

  /** @param {Field} field */
  fixed(field) {
    const values = { name: this.ceremony.recipient, email: this.ceremony.email };
    const output = document.createElement("output");
    output.id = field.id;
    output.setAttribute("aria-label", field.label);
    output.title = `${field.label}: filled in for you`;
    output.textContent = values[/** @type {keyof typeof values} */ (field.kind.kind)] ?? today();
    return output;
  }

  /**
   * @param {Field} field
   * @param {HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement} control
   */
  take(field, control) {
    if (field.kind.kind === "radio") {
      // Of a group, the button chosen last is the only one.
      for (const { field: other, control: button } of this.placed) {
        if (other.kind.kind === "radio" && other.kind.group === field.kind.group) {
          this.work.values[other.id] = String(/** @type {HTMLInputElement} */ (button).checked);
          button.classList.add("filled");
          this.tell(other, "");
        }
      }
      return;
    }
    if (control instanceof HTMLInputElement && control.type === "checkbox") {
      this.work.values[field.id] = String(control.checked);
    } else {
      this.work.values[field.id] = control.value.replaceAll("\r\n", "\n");
    }
    control.classList.toggle("filled", this.isDone(field));
    if (this.isDone(field)) this.tell(field, "");
  }

  /**
   * Whether nothing is left to do in this field.
   * @param {Field} field
   */
  isDone(field) {
    if (MARKS.includes(field.kind.kind)) return this.work.mark !== null;
    return this.problemOf(field) === "";
  }

  /**
   * What is wrong with a field, or nothing.
   * @param {Field} field
   * @returns {string}
   */
  problemOf(field) {
    if (SET_BY_SERVER.includes(field.kind.kind)) return "";
    if (MARKS.includes(field.kind.kind)) return this.work.mark ? "" : "Your signature is needed here.";
    const value = this.work.values[field.id] ?? "";
    if (field.kind.kind === "radio") return this.problemOfGroup(field);
    if (field.kind.kind === "checkbox") return field.required && value !== "true" ? "Please tick this box." : "";
    if (!value.trim()) return field.required ? `“${field.label}” must be filled.` : "";
    if (field.kind.kind === "number") {
      const most = field.kind.decimals ?? 0;
      const digits = value.split(".")[1]?.length ?? 0;
      if (!DECIMAL.test(value) || digits > most) {
        return most ? `A number like -12.5, with at most ${most} digits after the point.` : "A whole number like -12.";
      }
    }
    return "";
  }

  /** @param {Field} field */
  problemOfGroup(field) {
    const group = this.ceremony.fields.filter((other) => other.kind.kind === "radio" && other.kind.group === field.kind.group);
    const needed = group.some((button) => button.required);
    const chosen = group.some((button) => this.work.values[button.id] === "true");
    return needed && !chosen ? "Please choose one of these." : "";
  }

  /**
   * Shows a problem beside its field.
   * @param {Field} field
   * @param {string} problem
   */
  tell(field, problem) {
    const placed = this.placed.find((one) => one.field.id === field.id);
    if (!placed) return;
    placed.problem.textContent = problem;
    if (problem) placed.control.setAttribute("aria-invalid", "true");
    else placed.control.removeAttribute("aria-invalid");
  }

  /** Shows what the work holds: the mark in its places, and which fields are filled. */
  refresh() {
    for (const { field, control } of this.placed) {
      if (!MARKS.includes(field.kind.kind)) {
        control.classList.toggle("filled", this.work.values[field.id] !== undefined && this.isDone(field));
        continue;
      }
      const short = field.kind.kind === "initials";
      const { mark } = this.work;
      const { initials } = this.ceremony;
      const asked = short ? "Initial" : "Sign here";
      control.classList.toggle("marked", mark !== null);
      control.replaceChildren(mark ? markBox(field, markElement(mark, short, initials), short ? null : "") : asked);
      // The name begins with what is seen (WCAG 2.5.3).
      const seen = !mark ? asked : short ? initials : mark.method === "typed" ? mark.value : "Drawn signature";
      control.setAttribute("aria-label", `${seen}, ${field.label}${mark ? ", placed; change" : ""}`);
      if (mark) this.tell(field, "");
    }
  }

  /** Fields that must be dealt with, each group of radio buttons once. */
  needed() {
    const groups = new Set();
    return this.placed.filter(({ field }) => {
      if (SET_BY_SERVER.includes(field.kind.kind)) return false;
      if (MARKS.includes(field.kind.kind)) return true;
      if (field.kind.kind !== "radio") return field.required;
      const needed = this.ceremony.fields.some(
        (other) => other.kind.kind === "radio" && other.kind.group === field.kind.group && other.required,
      );
      if (!needed || groups.has(field.kind.group)) return false;
      groups.add(field.kind.group);
      return true;
    });
  }

  /** Every field with a problem, required or not. */
  wrong() {
    return this.placed.filter(({ field }) => this.problemOf(field) !== "");
  }

  /** What is sent: the typed values that are not empty. @returns {Record<string, string>} */
  values() {
    /** @type {Record<string, string>} */
    const values = {};
    for (const { field } of this.placed) {
      const value = this.work.values[field.id];
      if (value?.trim()) values[field.id] = value;
    }
    return values;
  }
}

/**
 * What a field for text is called, to be seen in it as long as it is empty.
 * @param {Field} field
 * @param {HTMLElement} control
 */
function visibleLabel(field, control) {
  const isText = control instanceof HTMLTextAreaElement || (control instanceof HTMLInputElement && control.type === "text");
  if (!isText) return [];
  // Style sheets know an empty control by its placeholder.
  control.placeholder = " ";
  const [label, words] = [document.createElement("label"), document.createElement("span")];
  label.htmlFor = field.id;
  words.textContent = field.label;
  label.append(words);
  return [label];
}

/**
 * An empty box on the page at the place of a field.
 * @param {Field} field
 * @param {{width?: number, height?: number}} page
 * @returns {HTMLElement}
 */
export function boxAt(field, page) {
  const box = document.createElement("div");
  box.className = "field";
  const percent = (/** @type {number} */ cpt, /** @type {number} */ points) => `${cpt / points}%`;
  box.style.setProperty("left", percent(field.rect.x_cpt, page.width ?? 1));
  box.style.setProperty("top", percent(field.rect.y_cpt, page.height ?? 1));
  box.style.setProperty("width", percent(field.rect.width_cpt, page.width ?? 1));
  box.style.setProperty("height", percent(field.rect.height_cpt, page.height ?? 1));
  const tall = field.kind.kind === "text" && field.kind.multiline ? 10 : (field.rect.height_cpt / 100) * 0.62;
  box.style.setProperty("--field-size", String(Math.max(5, Math.min(tall, MARKS.includes(field.kind.kind) ? 22 : 12))));
  return box;
}

/** Today in the reader's own zone, as the date of signing is written. */
function today() {
  const now = new Date();
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return `${now.getFullYear()}-${two(now.getMonth() + 1)}-${two(now.getDate())}`;
}
