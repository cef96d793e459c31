/** The variables of a case: `<name>` in its texts. */
export type Variables = Readonly<Record<string, unknown>>;

/** `<name>`, or `<name.key>` for a key of its value. */
const VARIABLE = /<([a-z]+)((?:\.[a-z]+)*)>/gi;

/**
 * A value of a case with its variables. A text that is a variable alone becomes its value.
 *
 * @throws for a variable that does not exist.
 */
export function filled<T>(value: T, variables: Variables): T {
  const fill = (each: unknown): unknown => {
    if (typeof each === "string") return textOf(each, variables);
    if (Array.isArray(each)) return each.map(fill);
    if (typeof each !== "object" || each === null) return each;
    const entries = Object.entries(each);
    return Object.fromEntries(entries.map(([key, item]) => [fill(key), fill(item)]));
  };
  return fill(value) as T;
}

function textOf(text: string, variables: Variables): unknown {
  const [whole, name, keys] = new RegExp(`^${VARIABLE.source}$`, "i").exec(text) ?? [];
  if (whole !== undefined && name !== undefined) return variable(name, keys, variables);
  return text.replace(VARIABLE, (_, each: string, path: string) =>
    String(variable(each, path, variables)),
  );
}

function variable(name: string, keys = "", variables: Variables): unknown {
  if (!Object.hasOwn(variables, name)) throw new Error(`there is no variable <${name}>`);
  let value: unknown = variables[name];
  for (const key of keys.split(".").slice(1)) value = (value as Record<string, unknown>)?.[key];
  if (value === undefined) throw new Error(`there is no <${name}${keys}>`);
  return value;
}
