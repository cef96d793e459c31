/** Compares outcomes with the cases: an object matches when the keys that it names match. */

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A value as text for people; integers beyond 2^53 keep their digits. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value, (_, each) => (typeof each === "bigint" ? `${each}` : each));
  return text === undefined ? "nothing" : text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

/** The expectations that a string, a number or a list cannot say, by their key. */
const MATCHERS: Readonly<
  Record<string, (given: never, actual: unknown, at: string) => string | undefined>
> = {
  /** One of several values. */
  $in: (given: readonly unknown[], actual, at) =>
    given.some((each) => differenceOf(each, actual, at) === undefined)
      ? undefined
      : `${at}: expected one of ${shown(given)}; got ${shown(actual)}`,
  /** Text with a match of a regular expression. */
  $like: (given: string, actual, at) =>
    typeof actual === "string" && new RegExp(given, "su").test(actual)
      ? undefined
      : `${at}: expected text like ${given}; got ${shown(actual)}`,
  /** No value at all. */
  $absent: (_: true, actual, at) =>
    actual === undefined ? undefined : `${at}: expected nothing; got ${shown(actual)}`,
  /** An integer of any size, by its digits. */
  $number: (given: string, actual, at) =>
    (typeof actual === "number" || typeof actual === "bigint") && BigInt(given) === BigInt(actual)
      ? undefined
      : `${at}: expected ${given}; got ${shown(actual)}`,
  /** An integer with these digits, or the number of 64 bits that is nearest to it. */
  $nearest: (given: string, actual, at) =>
    (typeof actual === "number" || typeof actual === "bigint") && Number(given) === Number(actual)
      ? undefined
      : `${at}: expected about ${given}; got ${shown(actual)}`,
  /** A list with these items, in this order, and others between them. */
  $some: (given: readonly unknown[], actual, at) => {
    let from = 0;
    for (const item of given) {
      const rest: unknown[] = Array.isArray(actual) ? actual.slice(from) : [];
      const index = rest.findIndex((each) => differenceOf(item, each, at) === undefined);
      if (index < 0) return `${at}: expected ${shown(item)} in ${shown(actual)}`;
      from += index + 1;
    }
    return undefined;
  },
  /** A list with these items, in any order. */
  $set: (given: readonly unknown[], actual, at) => {
    const sorted = (list: unknown) => Array.isArray(list) && list.map(shown).sort();
    return differenceOf(sorted(given), sorted(actual), at);
  },
};

/** The first difference, with its path; undefined where the value is as expected. */
export function differenceOf(expected: unknown, actual: unknown, at: string): string | undefined {
  if (isObject(expected)) {
    const [key = "", ...others] = Object.keys(expected);
    const matcher = others.length === 0 ? MATCHERS[key] : undefined;
    if (matcher) return matcher(expected[key] as never, actual, at);
    if (!isObject(actual)) return `${at}: expected ${shown(expected)}; got ${shown(actual)}`;
    return first(Object.keys(expected), (name) =>
      differenceOf(expected[name], actual[name], `${at}.${name}`),
    );
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length)
      return `${at}: expected ${shown(expected)}; got ${shown(actual)}`;
    return first([...expected.keys()], (index) =>
      differenceOf(expected[index], actual[index], `${at}[${index}]`),
    );
  }
  if (Object.is(expected, actual)) return undefined;
  return `${at}: expected ${shown(expected)}; got ${shown(actual)}`;
}

function first<T>(items: readonly T[], look: (item: T) => string | undefined) {
  for (const item of items) {
    const found = look(item);
    if (found !== undefined) return found;
  }
  return undefined;
}
