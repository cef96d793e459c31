/**
 * Matches paths against a child's patterns, as `find` does inside the sandbox.
 *
 * The server matches again because the child may forge the archive: its own shell holds the pipe,
 * and `/proc/PID/fd` opens it. Without this check `--artifact '*.png' --out .` would write a
 * `Makefile` on the caller's machine.
 */
import {
  codeOf,
  LAST_ASCII,
  parsePatterns,
  type Range,
  SLASH,
  type Token,
} from "../sandbox/patterns.ts";

/**
 * Whether a path matches one of the patterns.
 *
 * A RegExp would backtrack, and pattern and path come from the same stranger: `*a*a*a*a*b` takes
 * minutes. This simulates a nondeterministic automaton (Thompson 1968): some 10 ms for the longest
 * patterns and the longest path.
 *
 * @throws {RangeError} see {@link parsePatterns}.
 */
export function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const matchers = parsePatterns(patterns).map(matcher);
  return (path) => {
    const codes = Array.from(path, codeOf);
    return matchers.some((matches) => matches(codes));
  };
}

/** The states of a match are bits: bit n is set when the first n tokens may have matched. */
function bitsWhere(tokens: readonly Token[], is: (token: Token) => boolean): bigint {
  const bits = tokens.toReversed().map((token) => (is(token) ? "1" : "0"));
  return BigInt(`0b0${bits.join("")}`);
}

function rangesOf(token: Token): readonly Range[] {
  if (token.kind === "literal") return [[token.code, token.code]];
  return token.kind === "class" ? token.ranges : [];
}

function takes(token: Token, code: number): boolean {
  const isInside = rangesOf(token).some(([from, to]) => from <= code && code <= to);
  if (token.kind === "class") return code !== SLASH && isInside !== token.negated;
  return isInside;
}

function matcher(tokens: readonly Token[]): (codes: readonly number[]) => boolean {
  const [name, path, folders] = (["name", "path", "folders"] as const).map((kind) =>
    bitsWhere(tokens, (token) => token.kind === kind),
  ) as [bigint, bigint, bigint];
  const optional = name | path | folders;
  // Two tokens that match nothing stand side by side in `**/*`; three never do.
  const enter = (states: bigint) => {
    const past = states | ((states & optional) << 1n);
    return past | ((past & optional) << 1n);
  };
  const end = 1n << BigInt(tokens.length);
  // Ranges are ASCII, so all other characters that the tokens do not name are alike: one stands for
  // them.
  const named = new Set(tokens.flatMap((token) => rangesOf(token).map(([from]) => from)));
  const kindOf = (code: number) => (code <= LAST_ASCII || named.has(code) ? code : -1);
  const takers = new Map<number, bigint>();
  return (codes) => {
    let states = enter(1n);
    for (const code of codes) {
      const kind = kindOf(code);
      let taking = takers.get(kind);
      if (taking === undefined) {
        taking = bitsWhere(tokens, (token) => takes(token, kind));
        takers.set(kind, taking);
      }
      const stay = states & (code === SLASH ? path : name | path);
      const inFolders = states & folders;
      // A match inside folders leaves them behind a slash only.
      states =
        enter(((states & taking) << 1n) | stay | (code === SLASH ? inFolders << 1n : 0n)) |
        inFolders;
      if (states === 0n) return false;
    }
    return (states & end) !== 0n;
  };
}
