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
      return value === null || Array.isArray(value) ? undefined : flawOfInstance(value);
    default:
      return undefined;
  }
}

/** The names, after `[object `, of the objects that devalue carries beside plain ones. */
const BY_NAME = new RegExp(
  "^(Date|Map|Set|RegExp|URL|URLSearchParams|Number|String|Boolean|BigInt|ArrayBuffer|DataView|" +
    "(Big)?(Ui|I)nt\\d+(Clamped)?Array|Float\\d+Array|Temporal\\..*)$",
);

function flawOfInstance(value: object): string | undefined {
  const prototype: object | null = Object.getPrototypeOf(value);
  // The second is `Object.prototype`, which each realm (a frame, a context of node:vm) has its own.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) return undefined;
  const className = prototype.constructor?.name || "a class";
  const name = Object.prototype.toString.call(value).slice("[object ".length, -1);
  const instance = `an instance of ${className}`;
  if (name === "Promise") return `${instance}: await it`;
  if (!BY_NAME.test(name)) return `${instance}: send a plain object instead`;
  return className === name ? instance + BY_DEVALUE : `${instance}${BY_DEVALUE} as ${name}`;
}
