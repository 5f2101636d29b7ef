/**
 * JSON that every reader reads alike (RFC 8259 §4, §6). `JSON.parse` takes the last of two members of one name, where another reader takes
 * the first, and makes infinity of a number that is too large.
 */

// Strings, what opens, separates and closes, and numbers: all else of valid JSON says nothing here.
const TOKENS = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]|-?[0-9][0-9.eE+-]*/g;

/** The value of the text. Throws a `SyntaxError` if it is no JSON, or can be read in two ways. */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  // The names of each object that is open; an array has none.
  const open: (Set<string> | undefined)[] = [];
  let isName = false;
  for (const [token] of text.matchAll(TOKENS)) {
    const names = open.at(-1);
    if (token.startsWith('"')) {
      if (isName && names !== undefined) addName(names, token);
      isName = false;
    } else if (token === "{" || token === "[") {
      open.push(token === "{" ? new Set() : undefined);
      isName = token === "{";
    } else if (token === "}" || token === "]") {
      open.pop();
      isName = false;
    } else if (token === ",") {
      isName = names !== undefined;
    } else if (!Number.isFinite(Number(token))) {
      throw new SyntaxError("a number is too large");
    }
  }
  return value;
}

function addName(names: Set<string>, token: string): void {
  const name = JSON.parse(token) as string;
  if (names.has(name)) throw new SyntaxError("two members have one name");
  names.add(name);
}
