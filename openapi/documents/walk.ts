/** Changes the schemas of an OpenAPI document, wherever they stand. */

/** An object of the document. */
export type Node = { readonly [key: string]: unknown };

/** Gives the schema in place of one whose own parts have been changed already. */
export type Change = (schema: Node) => Node;

const SCHEMA = new Set([
  "schema",
  "itemSchema",
  "items",
  "additionalProperties",
  "propertyNames",
  "contentSchema",
  "not",
]);
const SCHEMA_LISTS = new Set(["oneOf", "anyOf", "allOf", "prefixItems"]);
const SCHEMA_MAPS = new Set(["schemas", "properties"]);
/** Their values are data, in which a key means nothing, or keep their form in every document. */
const DATA = new Set(["example", "examples", "default", "enum", "mapping", "x-itemSchema"]);

export const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** The part of a document with every schema in it changed, the inner ones first. */
export function mapSchemas<T>(part: T, change: Change): T {
  return mapped(part, change) as T;
}

function mapped(part: unknown, change: Change): unknown {
  if (Array.isArray(part)) return part.map((item) => mapped(item, change));
  return isNode(part) ? mapValues(part, (value, key) => valueAt(value, key, change)) : part;
}

function valueAt(value: unknown, key: string, change: Change): unknown {
  if (DATA.has(key)) return value;
  const schemaOf = (inner: unknown) =>
    isNode(inner) ? change(mapped(inner, change) as Node) : inner;
  if (SCHEMA.has(key)) return schemaOf(value);
  if (SCHEMA_LISTS.has(key)) return (value as readonly unknown[]).map(schemaOf);
  if (SCHEMA_MAPS.has(key) && isNode(value)) return mapValues(value, schemaOf);
  return mapped(value, change);
}

/** The part with the content of every stream of events changed. */
export function mapStreams<T>(part: T, change: (content: Node) => Node): T {
  if (Array.isArray(part)) return part.map((item) => mapStreams(item, change)) as T;
  if (!isNode(part)) return part;
  return mapValues(part, (value, key) =>
    key === "text/event-stream" ? change(value as Node) : mapStreams(value, change),
  ) as T;
}

/** The schema that a reference names; undefined when there is none. */
export function schemaAt(schemas: Node, ref: unknown): Node | undefined {
  return schemas[String(ref).split("/").at(-1) ?? ""] as Node | undefined;
}

/** The object with each value changed; a key whose value becomes undefined goes. */
export function mapValues(
  node: Node,
  change: (value: unknown, key: string) => unknown,
): { [key: string]: unknown } {
  return Object.fromEntries(
    Object.entries(node)
      .map(([key, value]) => [key, change(value, key)] as const)
      .filter(([, value]) => value !== undefined),
  );
}

/** The object without some keys. */
export function without(node: Node, ...keys: readonly string[]): Node {
  return mapValues(node, (value, key) => (keys.includes(key) ? undefined : value));
}

/** The document without the schemas that no operation uses. */
export function pruned<T extends Node>(document: T): T {
  const { components, ...rest } = document as Node;
  const schemas = (components as Node).schemas as Node;
  const used = new Set<string>();
  const visit = (part: unknown) => {
    for (const [, name = ""] of JSON.stringify(part).matchAll(/#\/components\/schemas\/(\w+)/g)) {
      if (used.has(name)) continue;
      used.add(name);
      visit(schemas[name]);
    }
  };
  visit(rest);
  const kept = mapValues(schemas, (schema, name) => (used.has(name) ? schema : undefined));
  return { ...document, components: { ...(components as Node), schemas: kept } };
}
