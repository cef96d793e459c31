/**
 * The values that JSON carries as they are, and why it does not carry the others. Arguments and
 * returned values follow the same rule. This file imports nothing, because runners contain it.
 */

/** 1,000 levels: the members refuse values that nest arrays and objects deeper. */
const MAX_NESTING = 1_000;

/** An array or object that is being read. */
interface Level {
  readonly container: Readonly<Record<string | number, unknown>>;
  /** The names of an object's properties; undefined for an array. */
  readonly keys: readonly string[] | undefined;
  readonly size: number;
  /** The position of the current item; -1 before the first. */
  at: number;
}

/**
 * The first part of a value that JSON would change or lose, as text with its path; undefined when
 * there is none. A property without a value is no flaw. Does not recurse.
 *
 * @param name the value's name, with which the path begins.
 * @throws the error of a getter or a proxy that throws.
 * @example
 * flawIn({ rows: [new Date()] }, "value");
 * // value.rows[0] is an instance of Date, which encoding: "devalue" carries
 */
export function flawIn(value: unknown, name: string): string | undefined {
  const levels: Level[] = [];
  const ancestors = new Set<object>();
  /** The flaw of one item. An item that contains others becomes the innermost level. */
  const look = (item: unknown): string | undefined => {
    const flaw = flawOf(item);
    if (flaw !== undefined || typeof item !== "object" || item === null) return flaw;
    if (ancestors.has(item)) return `part of a cycle${BY_DEVALUE}`;
    if (levels.length === MAX_NESTING) return `nested more than ${MAX_NESTING} levels deep`;
    ancestors.add(item);
    const keys = Array.isArray(item) ? undefined : Object.keys(item);
    const { length: size } = keys ?? (item as readonly unknown[]);
    levels.push({ container: item as Level["container"], keys, size, at: -1 });
    return undefined;
  };

  let flaw = look(value);
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    level.at++;
    if (level.at < level.size) {
      const item = level.container[level.keys?.[level.at] ?? level.at];
      if (item !== undefined || level.keys === undefined) flaw = look(item);
      if (flaw !== undefined) break;
    } else {
      levels.pop();
      ancestors.delete(level.container);
    }
  }
  return flaw && `${name}${levels.map(stepOf).join("")} is ${flaw}`;
}

/** The step of a path from a level to its current item. */
function stepOf({ keys, at }: Level): string {
  const key = keys?.[at];
  if (key === undefined) return `[${at}]`;
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key)
    ? `.${key}`
    : `[${JSON.stringify(key)}]`;
}

const BY_DEVALUE = ', which encoding: "devalue" carries';

/** The reason why JSON does not carry a value, apart from its items; undefined when it does. */
function flawOf(value: unknown): string | undefined {
  switch (typeof value) {
    case "number":
      return Number.isFinite(value) ? undefined : `${value}${BY_DEVALUE}`;
    case "undefined":
      return `undefined${BY_DEVALUE}`;
    case "bigint":
      return `a bigint${BY_DEVALUE}`;
    case "symbol":
      return "a symbol: send its description instead";
    case "function":
      return "a function: send its source or a name instead";
    case "object":
      return value === null ? undefined : flawOfObject(value);
    default:
      return undefined;
  }
}

/** JSON carries arrays and plain objects, and of a plain object its enumerable properties. */
function flawOfObject(value: object): string | undefined {
  if (!isPlain(value)) return instead(value);
  if (typeof (value as { toJSON?: unknown }).toJSON === "function")
    return "an object whose toJSON would replace it: send what toJSON returns instead";
  const symbols = Array.isArray(value) ? [] : Object.getOwnPropertySymbols(value);
  const symbol = symbols.find((key) => Object.prototype.propertyIsEnumerable.call(value, key));
  return symbol && `an object with the key ${String(symbol)}: use text as a key instead`;
}

/**
 * Whether a value is an array or an object of no class. Each realm (a frame, a context of node:vm)
 * has an `Array.prototype`, which is an array, and an `Object.prototype` of its own.
 */
function isPlain(value: object): boolean {
  const prototype: object | null = Object.getPrototypeOf(value);
  if (Array.isArray(value)) return prototype === Array.prototype || Array.isArray(prototype);
  const isOfObject =
    prototype === Object.prototype ||
    prototype === null ||
    (Object.getPrototypeOf(prototype) === null && Object.hasOwn(prototype, "isPrototypeOf"));
  // `Math`, `arguments` and others inherit from `Object.prototype` too.
  return isOfObject && tagOf(value) === "Object";
}

function tagOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** The tags of the objects that devalue carries beside plain ones. */
const BY_TAG = new RegExp(
  "^(Date|Map|Set|RegExp|URL|URLSearchParams|Number|String|Boolean|BigInt|ArrayBuffer|DataView|" +
    "(Big)?(Ui|I)nt\\d+(Clamped)?Array|Float\\d+Array|Temporal\\..*)$",
);

/** The class of an instance, and the form in which it travels. */
function instead(value: object): string {
  const tag = tagOf(value);
  const Class: unknown = Object.getPrototypeOf(value)?.constructor;
  const ownName = typeof Class === "function" && Class !== Object ? Class.name : "";
  const className = ownName || (tag === "Object" ? "a class" : tag);
  const instance = `an instance of ${className}`;
  if (BY_TAG.test(tag))
    return className === tag ? instance + BY_DEVALUE : `${instance}${BY_DEVALUE} as ${tag}`;
  if (tag === "Promise") return `${instance}: await it`;
  const isIterable = Symbol.iterator in value || Symbol.asyncIterator in value;
  return `${instance}: send ${isIterable ? "an array of its items" : "a plain object"} instead`;
}

/**
 * The reason why devalue does not carry a value; undefined for an array or a plain object, of which
 * a key is at fault.
 */
export function flawForDevalue(value: unknown): string | undefined {
  const isContainer = typeof value === "object" && value !== null && isPlain(value);
  return isContainer ? undefined : flawOf(value);
}
