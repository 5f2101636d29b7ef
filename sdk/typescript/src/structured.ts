/** Structured fields (RFC 8941 §4.2.2), as far as dictionaries go: `signature-input`, `signature`, `content-digest`. */

import { fromBase64, type Bytes } from "./bytes.js";
import { malformed } from "./refused.js";

export type Bare =
  | { readonly kind: "integer"; readonly value: number }
  | { readonly kind: "decimal"; readonly value: number }
  | { readonly kind: "string"; readonly value: string }
  | { readonly kind: "token"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean }
  | { readonly kind: "bytes"; readonly value: Bytes };

export type Parameters = ReadonlyMap<string, Bare>;

export interface Item {
  readonly bare: Bare;
  readonly parameters: Parameters;
}

export interface Member {
  /** One item, or the items of an inner list. */
  readonly value: Bare | readonly Item[];
  readonly parameters: Parameters;
  /** As it was sent, with its parameters. */
  readonly text: string;
}

const MEMBERS_MAX = 16;
const ITEMS_MAX = 64;
const KEY = /[a-z*][a-z0-9_.*-]*/y;
const NUMBER = /-?[0-9]+(?:\.[0-9]+)?/y;
const STRING = /"(?:[ !#-[\]-~]|\\["\\])*"/y;
const TOKEN = /[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*/y;
const BYTES = /:[A-Za-z0-9+/=]*:/y;
const BOOLEAN = /\?[01]/y;

/** The members by name. A name that stands twice is refused, though RFC 8941 would take the last. */
export function dictionary(field: string, text: string): ReadonlyMap<string, Member> {
  return new Reader(field, text).dictionary();
}

class Reader {
  readonly #field: string;
  readonly #text: string;
  #position = 0;

  constructor(field: string, text: string) {
    this.#field = field;
    this.#text = text;
  }

  dictionary(): Map<string, Member> {
    const members = new Map<string, Member>();
    this.#skip(/ */y);
    while (this.#position < this.#text.length) {
      const key = this.#take(KEY);
      if (members.has(key) || members.size === MEMBERS_MAX) throw this.#refused();
      members.set(key, this.#member());
      this.#skip(/[ \t]*/y);
      if (this.#position === this.#text.length) break;
      this.#take(/,[ \t]*(?=[a-z*])/y);
    }
    return members;
  }

  #member(): Member {
    if (!this.#next("=")) {
      const start = this.#position;
      const parameters = this.#parameters();
      return { value: { kind: "boolean", value: true }, parameters, text: this.#text.slice(start, this.#position) };
    }
    const start = this.#position;
    const value = this.#next("(") ? this.#innerList() : this.#bare();
    const parameters = this.#parameters();
    return { value, parameters, text: this.#text.slice(start, this.#position) };
  }

  #innerList(): Item[] {
    const items: Item[] = [];
    this.#skip(/ */y);
    while (!this.#next(")")) {
      if (items.length === ITEMS_MAX) throw this.#refused();
      const bare = this.#bare();
      items.push({ bare, parameters: this.#parameters() });
      this.#take(/ +|(?=\))/y);
    }
    return items;
  }

  #parameters(): Map<string, Bare> {
    const parameters = new Map<string, Bare>();
    while (this.#next(";")) {
      this.#skip(/ */y);
      const key = this.#take(KEY);
      if (parameters.has(key) || parameters.size === MEMBERS_MAX) throw this.#refused();
      parameters.set(key, this.#next("=") ? this.#bare() : { kind: "boolean", value: true });
    }
    return parameters;
  }

  #bare(): Bare {
    const first = this.#text[this.#position] ?? "";
    if (first === '"') {
      const text = this.#take(STRING);
      return { kind: "string", value: text.slice(1, -1).replace(/\\(.)/g, "$1") };
    }
    if (first === ":") return { kind: "bytes", value: this.#bytes() };
    if (first === "?") return { kind: "boolean", value: this.#take(BOOLEAN) === "?1" };
    if (/[-0-9]/.test(first)) return this.#number();
    return { kind: "token", value: this.#take(TOKEN) };
  }

  #bytes(): Bytes {
    const bytes = fromBase64(this.#take(BYTES).slice(1, -1));
    if (bytes === undefined) throw this.#refused();
    return bytes;
  }

  /** RFC 8941 §3.3.1: at most 15 digits; §3.3.2: at most 12 and 3. */
  #number(): Bare {
    const text = this.#take(NUMBER);
    const [whole = "", fraction] = text.replace("-", "").split(".");
    if (fraction === undefined) {
      if (whole.length > 15) throw this.#refused();
      return { kind: "integer", value: Number(text) };
    }
    if (whole.length > 12 || fraction.length > 3) throw this.#refused();
    return { kind: "decimal", value: Number(text) };
  }

  #next(character: string): boolean {
    if (this.#text[this.#position] !== character) return false;
    this.#position += 1;
    return true;
  }

  #take(pattern: RegExp): string {
    pattern.lastIndex = this.#position;
    const found = pattern.exec(this.#text)?.[0];
    if (found === undefined) throw this.#refused();
    this.#position += found.length;
    return found;
  }

  #skip(pattern: RegExp): void {
    this.#take(pattern);
  }

  #refused(): Error {
    return malformed(`${this.#field} must be a dictionary as in RFC 8941.`);
  }
}
