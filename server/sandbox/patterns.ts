/**
 * Patterns of paths, and the regular expression by which `find` selects the files that match them.
 *
 * `*` and `?` stay within a name. `**` crosses folders; before a slash it means any number of them,
 * none included. `[a-z]` and `[!a-z]` are one character of a name. A name may begin with a dot. A
 * class without its end, or with a range backwards, is a literal bracket.
 * `server/workspace/path-matcher.ts` matches the same patterns in the server.
 */

/** Bytes of all patterns of a child together. The cost of matching one path grows with them. */
export const MAX_PATTERN_BYTES = 8_192;

export type Range = readonly [from: number, to: number];

export type Token =
  | { readonly kind: "literal"; readonly code: number }
  | { readonly kind: "class"; readonly negated: boolean; readonly ranges: readonly Range[] }
  /** Any characters of a name; any characters; any number of whole folders. */
  | { readonly kind: "name" | "path" | "folders" };

export const SLASH = codeOf("/");
const LAST_ASCII = 0x7f;
const ANY_OF_NAME: Token = { kind: "class", negated: true, ranges: [] };

export function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/**
 * The class that begins at `start`, and the index behind it; undefined where a literal bracket
 * stands.
 *
 * @throws {RangeError} for a range whose ends are not ASCII.
 */
function classAt(
  characters: readonly string[],
  start: number,
): { readonly token: Token; readonly next: number } | undefined {
  let at = start + 1;
  const negated = characters[at] === "!" || characters[at] === "^";
  if (negated) at++;
  const ranges: Range[] = [];
  for (let first = true; ; first = false) {
    const character = characters[at];
    if (character === undefined || character === "/") return undefined;
    if (character === "]" && !first)
      return { token: { kind: "class", negated, ranges }, next: at + 1 };
    const from = codeOf(character);
    const end = characters[at + 2];
    if (characters[at + 1] !== "-" || end === undefined || end === "]" || end === "/") {
      ranges.push([from, from]);
      at++;
    } else {
      if (codeOf(end) < from) return undefined;
      // `find` knows no order of other characters, and would refuse the whole expression.
      if (codeOf(end) > LAST_ASCII)
        throw new RangeError(
          `expected ranges of ASCII characters, such as [a-z]; got [${character}-${end}]`,
        );
      ranges.push([from, codeOf(end)]);
      at += 3;
    }
  }
}

function parse(pattern: string): Token[] {
  const characters = [...pattern.toWellFormed()];
  const tokens: Token[] = [];
  for (let at = 0; at < characters.length; ) {
    const character = characters[at] as string;
    const found = character === "[" ? classAt(characters, at) : undefined;
    if (found) {
      tokens.push(found.token);
      at = found.next;
    } else if (character === "*") {
      const start = at;
      while (characters[at] === "*") at++;
      if (at - start === 1) tokens.push({ kind: "name" });
      else if (characters[at] === "/" && (start === 0 || characters[start - 1] === "/")) {
        // `**/**/` means the same as `**/`, and one token has fewer ways to match.
        if (tokens.at(-1)?.kind !== "folders") tokens.push({ kind: "folders" });
        at++;
      } else tokens.push({ kind: "path" });
    } else {
      tokens.push(character === "?" ? ANY_OF_NAME : { kind: "literal", code: codeOf(character) });
      at++;
    }
  }
  return tokens;
}

/**
 * The tokens of each pattern.
 *
 * @throws {RangeError} when the patterns are longer than `MAX_PATTERN_BYTES`, or a range has ends
 *   that are not ASCII.
 */
export function parsePatterns(patterns: readonly string[]): Token[][] {
  const bytes = patterns.reduce((sum, pattern) => sum + Buffer.byteLength(pattern), 0);
  if (bytes > MAX_PATTERN_BYTES)
    throw new RangeError(
      `expected patterns of together at most ${MAX_PATTERN_BYTES} bytes; got ${bytes}`,
    );
  return patterns.map(parse);
}

/** The range without the slash, which is no end of a range. */
function withoutSlash([from, to]: Range): Range[] {
  return from < SLASH && SLASH < to
    ? [
        [from, SLASH - 1],
        [SLASH + 1, to],
      ]
    : [[from, to]];
}

/** A POSIX bracket expression. */
function bracket(negated: boolean, ranges: readonly Range[]): string {
  const parts = (negated ? ranges : ranges.flatMap(withoutSlash)).map(
    ([from, to]) => symbol(from) + (from === to ? "" : `-${symbol(to)}`),
  );
  return `[${negated ? "^/" : ""}${parts.join("")}]`;
}

/** A character in a bracket expression, where `[.` and `.]` stand for an escape. */
function symbol(code: number): string {
  const character = String.fromCodePoint(code);
  return "[]^-\\".includes(character) ? `[.${character}.]` : character;
}

function expression(token: Token): string {
  switch (token.kind) {
    case "literal":
      return String.fromCodePoint(token.code).replace(/[\\.[()*+?{|^$]/, "\\$&");
    case "class":
      return bracket(token.negated, token.ranges);
    case "name":
      return "[^/]*";
    case "path":
      return ".*";
    case "folders":
      return "(.*/)?";
  }
}

/**
 * The patterns as one POSIX extended regular expression over the paths that `find .` gives. It is
 * meant for `find -regextype posix-extended -regex`, which matches whole paths, in a UTF-8 locale.
 *
 * @throws {RangeError} as {@link parsePatterns}.
 */
export function findExpression(patterns: readonly string[]): string {
  return `\\./(${parsePatterns(patterns)
    .map((tokens) => tokens.map(expression).join(""))
    .join("|")})`;
}
