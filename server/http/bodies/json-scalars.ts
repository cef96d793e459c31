/** The numbers and literals of JSON (RFC 8259) as a table of states. State 0 begins them. */

const DIGITS = "0123456789";
const LITERALS = ["true", "false", "null"];

/** The bytes that may follow each part of a number, and the part that each of them begins. */
const NUMBER: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  begin: { "-": "minus", "0": "zero", "123456789": "whole" },
  minus: { "0": "zero", "123456789": "whole" },
  zero: { ".": "point", eE: "exponent" },
  whole: { [DIGITS]: "whole", ".": "point", eE: "exponent" },
  point: { [DIGITS]: "fraction" },
  fraction: { [DIGITS]: "fraction", eE: "exponent" },
  exponent: { "+-": "sign", [DIGITS]: "power" },
  sign: { [DIGITS]: "power" },
  power: { [DIGITS]: "power" },
};

/** The states by name: the parts of a number, and the beginnings of the literals. */
const NAMES = [
  ...Object.keys(NUMBER),
  ...LITERALS.flatMap((text) => [...text].map((_, index) => text.slice(0, index + 1))),
];

/** The states in which a number or a literal is whole. */
export const SCALAR_ENDS: ReadonlySet<number> = new Set(
  ["zero", "whole", "fraction", "power", ...LITERALS].map((name) => NAMES.indexOf(name)),
);

/** By state and byte: the next state; 0 for none. */
const NEXT = new Uint8Array(NAMES.length * 256);
for (const [from, rules] of Object.entries(NUMBER))
  for (const [bytes, to] of Object.entries(rules))
    for (const byte of Buffer.from(bytes))
      NEXT[NAMES.indexOf(from) * 256 + byte] = NAMES.indexOf(to);
for (const text of LITERALS)
  for (let index = 0; index < text.length; index++) {
    const from = index === 0 ? 0 : NAMES.indexOf(text.slice(0, index));
    NEXT[from * 256 + text.charCodeAt(index)] = NAMES.indexOf(text.slice(0, index + 1));
  }

/** The state behind one more byte; undefined for a byte that does not belong to it. */
export function nextScalar(state: number, byte: number): number | undefined {
  return NEXT[state * 256 + byte] || undefined;
}
