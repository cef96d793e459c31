/**
 * Matches paths against a child's patterns, as `find` does inside the sandbox.
 *
 * The server matches again because the child may forge the archive: its own shell holds the pipe,
 * and `/proc/PID/fd` opens it. Without this check `--artifact '*.png' --out .` would write a
 * `Makefile` on the caller's machine.
 */
import { codeOf, parsePatterns, type Range, SLASH, type Token } from "../sandbox/patterns.ts";

/**
 * Whether a path matches one of the patterns.
 *
 * A RegExp would backtrack, and pattern and path come from the same stranger: `*a*a*a*a*b` takes
 * minutes. This simulates a nondeterministic automaton (Thompson 1968), one token after the other:
 * some milliseconds for the longest patterns and the longest path.
 *
 * @throws {RangeError} see {@link parsePatterns}.
 */
export function pathMatcher(patterns: readonly string[]): (path: string) => boolean {
  const parsed = parsePatterns(patterns);
  return (path) => {
    const codes = Array.from(path, codeOf);
    const end = 1n << BigInt(codes.length);
    const step = stepper(codes);
    return parsed.some((tokens) => (tokens.reduce(step, 1n) & end) !== 0n);
  };
}

/**
 * Takes one token of a pattern on one path. Bit n of the states is set when the tokens so far may
 * match the first n characters.
 */
function stepper(codes: readonly number[]): (states: bigint, token: Token) => bigint {
  /** By character: bit n is set where the character stands at index n. */
  const bits = new Map<number, bigint>();
  for (const [index, code] of codes.entries())
    bits.set(code, (bits.get(code) ?? 0n) | (1n << BigInt(index)));
  const bitsOf = (code: number) => bits.get(code) ?? 0n;
  const all = (1n << BigInt(codes.length)) - 1n;
  const slashes = bitsOf(SLASH);
  const others = all ^ slashes;
  // The bits of a negative number go on for ever above its lowest one.
  const fromLowest = (states: bigint) => states | -states;
  return (states, token) => {
    switch (token.kind) {
      case "literal":
        return (states & bitsOf(token.code)) << 1n;
      case "class": {
        const inside = token.ranges.reduce((sum, range) => sum | bitsWithin(range, bitsOf), 0n);
        return (states & others & (token.negated ? ~inside : inside)) << 1n;
      }
      case "name":
        // The carry of the sum runs from each state to the end of its name.
        return states | (((states & others) + others) ^ others);
      case "path":
        return fromLowest(states) & ((all << 1n) | 1n);
      case "folders":
        return states | ((fromLowest(states) & slashes) << 1n);
    }
  };
}

function bitsWithin([from, to]: Range, bitsOf: (code: number) => bigint): bigint {
  let sum = 0n;
  for (let code = from; code <= to; code++) sum |= bitsOf(code);
  return sum;
}
