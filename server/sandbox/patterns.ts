/**
 * Patterns of paths, as two things that agree: a regular expression for `find`, and a check of the server's own. `*` and `?`
 * stay within a name, `**` crosses folders (before a slash: any number of them, also none), `[a-z]` and `[!a-z]` are one character
 * of a name. Names that begin with a dot are like any other; a class without its end or with a range backwards is a literal bracket.
 */

/** All patterns of a child together, in bytes: what a check of one path may cost grows with them. */
export const MAX_PATTERN_BYTES = 8_192;

type Range = readonly [from: number, to: number];

type Token =
  | { readonly kind: "literal"; readonly code: number }
  | { readonly kind: "class"; readonly negated: boolean; readonly ranges: readonly Range[] }
  /** Any characters of a name; any characters; any number of whole folders. */
  | { readonly kind: "name" | "path" | "folders" };

const SLASH = codeOf("/");
const LAST_ASCII = 0x7f;
const ANY_OF_NAME: Token = { kind: "class", negated: true, ranges: [] };
/** They mean something inside a POSIX class; as an end of a range nothing tells that they do not. */
const SPECIAL_IN_CLASS = new Set(["[", "]", "^", "-", "\\"].map(codeOf));

function codeOf(character: string): number {
  return character.codePointAt(0) ?? 0;
}

/** @throws {RangeError} for a range with other ends than ASCII. @returns the class that begins at `start`, and where the pattern goes on; undefined where it is none. */
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
      // find knows no order of others, and would refuse the whole expression.
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
        // Twice is the same as once, and one at a time keeps the ways through them few.
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

function parseAll(patterns: readonly string[]): Token[][] {
  const bytes = patterns.reduce((sum, pattern) => sum + Buffer.byteLength(pattern), 0);
  if (bytes > MAX_PATTERN_BYTES)
    throw new RangeError(
      `expected patterns of together at most ${MAX_PATTERN_BYTES} bytes; got ${bytes}`,
    );
  return patterns.map(parse);
}

/** A range without what stands at its ends and is special. */
function split([from, to]: Range): { readonly plain?: Range; readonly special: readonly number[] } {
  const special: number[] = [];
  while (from <= to && SPECIAL_IN_CLASS.has(from)) special.push(from++);
  while (to >= from && SPECIAL_IN_CLASS.has(to)) special.push(to--);
  return from <= to ? { plain: [from, to], special } : { special };
}

function withoutSlash([from, to]: Range): Range[] {
  if (from > SLASH || to < SLASH) return [[from, to]];
  const sides: Range[] = [
    [from, SLASH - 1],
    [SLASH + 1, to],
  ];
  return sides.filter(([start, end]) => start <= end);
}

/** A POSIX bracket expression, in which what is special stands where it means itself. */
function bracket(negated: boolean, ranges: readonly Range[]): string {
  const parts = (negated ? ranges : ranges.flatMap(withoutSlash)).map(split);
  const special = new Set(parts.flatMap((part) => part.special));
  const take = (text: string) => (special.has(codeOf(text)) ? text : "");
  const plain = parts
    .flatMap((part) => (part.plain ? [part.plain] : []))
    .map(([from, to]) => character(from) + (from === to ? "" : `-${character(to)}`));
  const body = `${take("]")}${negated ? "/" : ""}${plain.join("")}${take("\\")}`;
  if (body !== "") return `[${negated ? "^" : ""}${body}${take("^")}${take("[")}${take("-")}]`;
  // A `^` in front would negate, and alone has no other place.
  const rest = `${take("-")}${take("[")}${take("^")}`;
  return rest === "^" ? "\\^" : `[${rest}]`;
}

function character(code: number): string {
  return String.fromCodePoint(code);
}

function expression(token: Token): string {
  switch (token.kind) {
    case "literal":
      return character(token.code).replace(/[\\.[()*+?{|^$]/, "\\$&");
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
 * The patterns as one POSIX extended regular expression over the paths that `find .` gives, for `find -regextype posix-extended -regex`,
 * which matches whole paths. It wants a UTF-8 locale.
 * @throws {RangeError} when they are longer than `MAX_PATTERN_BYTES`, or one has a range with other ends than ASCII.
 */
export function findExpression(patterns: readonly string[]): string {
  return `\\./(${parseAll(patterns)
    .map((tokens) => tokens.map(expression).join(""))
    .join("|")})`;
}

/**
 * Whether a path matches one of the patterns. Not a RegExp: pattern and path come from the same stranger, and `*a*a*a*a*b` takes a
 * backtracking one minutes. This follows all ways at once: some 10 ms for the longest patterns and path that there can be.
 * @throws {RangeError} when the patterns are longer than `MAX_PATTERN_BYTES`.
 */
export function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const matchers = parseAll(patterns).map(matcher);
  return (path) => {
    const codes = Array.from(path, codeOf);
    return matchers.some((matches) => matches(codes));
  };
}

/** The states of a match are bits: bit n says that n tokens may be behind. */
function bitsWhere(tokens: readonly Token[], is: (token: Token) => boolean): bigint {
  return BigInt(`0b0${tokens.toReversed().map((token) => (is(token) ? "1" : "0")).join("")}`); // biome-ignore format: one number
}

function takes(token: Token, code: number): boolean {
  if (token.kind === "literal") return token.code === code;
  return (
    token.kind === "class" &&
    code !== SLASH &&
    token.ranges.some(([from, to]) => from <= code && code <= to) !== token.negated
  );
}

/** Numbers the kinds of characters that the tokens tell apart: far fewer than there are characters. */
function kindsOf(tokens: readonly Token[]): (code: number) => number {
  const ranges = tokens.flatMap((token): readonly Range[] => {
    if (token.kind === "literal") return [[token.code, token.code]];
    return token.kind === "class" ? [...token.ranges, [SLASH, SLASH]] : [];
  });
  const borders = Float64Array.from(new Set(ranges.flatMap(([from, to]) => [from, to + 1]))).sort();
  return (code) => {
    let low = 0;
    for (let high = borders.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((borders[middle] ?? 0) <= code) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function matcher(tokens: readonly Token[]): (codes: readonly number[]) => boolean {
  const [name, path, folders] = (["name", "path", "folders"] as const).map((kind) =>
    bitsWhere(tokens, (token) => token.kind === kind),
  ) as [bigint, bigint, bigint];
  const optional = name | path | folders;
  // Two that may stand for nothing are next to each other in `**/*`, more never.
  const enter = (states: bigint) => {
    const past = states | ((states & optional) << 1n);
    return past | ((past & optional) << 1n);
  };
  const end = 1n << BigInt(tokens.length);
  const kindOf = kindsOf(tokens);
  const taking = new Map<number, bigint>();
  return (codes) => {
    let states = enter(1n);
    for (const code of codes) {
      const kind = kindOf(code);
      let those = taking.get(kind);
      if (those === undefined) {
        those = bitsWhere(tokens, (token) => takes(token, code));
        taking.set(kind, those);
      }
      const stay = states & (code === SLASH ? path : name | path);
      const inFolders = states & folders;
      // Whoever is inside folders comes out of them behind a slash only.
      states =
        enter(((states & those) << 1n) | stay | (code === SLASH ? inFolders << 1n : 0n)) |
        inFolders;
      if (states === 0n) return false;
    }
    return (states & end) !== 0n;
  };
}
