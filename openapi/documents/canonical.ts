/** The canonical form, OpenAPI 3.1: that of the library, in the constructs that generators take. */
import { mapSchemas, mapStreams, mapValues, type Node, pruned, schemaAt } from "./walk.ts";

/** Keywords that describe a schema and refuse nothing. */
const ANNOTATIONS = new Set(["description", "default", "example", "examples"]);

const isAnnotation = (schema: Node) => Object.keys(schema).every((key) => ANNOTATIONS.has(key));

/**
 * @param document that the library built from the routes.
 * @param messages the framing of the events of a stream, by the name of the events' schema.
 */
export function canonical<T extends Node>(document: T, messages: Node): T {
  const schemas = (document.components as Node).schemas as Node;
  const change = (schema: Node) =>
    formatted(portable(exemplified(exclusive(besideRef(schema, schemas)))));
  const paths = mapValues(document.paths as Node, (methods) =>
    mapValues(methods as Node, (operation) => scoped(operation as Node)),
  );
  const whole = { ...document, paths, webhooks: undefined };
  // `itemSchema`, the framing of a stream of events, is a keyword of 3.2.
  const framed = mapStreams(whole, (stream) => ({
    ...stream,
    "x-itemSchema": schemaAt(messages, (stream.schema as Node).$ref),
  }));
  return pruned(mapSchemas(framed, change));
}

/** The scopes of a bearer token beside the need for one: linters know scopes of OAuth alone. */
function scoped(operation: Node): Node {
  const { security } = operation;
  if (!Array.isArray(security)) return operation;
  const needs: readonly (readonly [string, readonly string[]])[] = security.flatMap(Object.entries);
  const scopes = needs.flatMap(([, each]) => each);
  const names = [...new Set(needs.map(([name]) => name))];
  const plain = { ...operation, security: names.map((name) => ({ [name]: [] })) };
  return scopes.length > 0 ? { ...plain, "x-scopes": scopes } : plain;
}

/** A reference with a description beside it, in place of `allOf` with both. */
function besideRef(schema: Node, schemas: Node): Node {
  const { allOf, ...rest } = schema as { readonly allOf?: readonly Node[] };
  const [reference, annotations = {}, ...others] = allOf ?? [];
  if (!reference?.$ref || others.length > 0 || !isAnnotation(annotations)) return schema;
  const { description } = annotations;
  const isKnown = description === schemaAt(schemas, reference.$ref)?.description;
  const beside = isKnown ? { description: undefined } : {};
  return mapValues({ ...reference, ...annotations, ...rest, ...beside }, (value) => value);
}

/** `oneOf` in place of `anyOf`, whose parts exclude one another; a list of types for null. */
function exclusive(schema: Node): Node {
  const { anyOf, ...rest } = schema as { readonly anyOf?: readonly Node[] };
  if (!anyOf) return schema.oneOf && !schema.properties ? mapValues(schema, untyped) : schema;
  const [value, absent, ...others] = anyOf;
  const isPlain = typeof value?.type === "string" && absent?.type === "null" && !others.length;
  return isPlain ? { ...value, ...rest, type: [value.type, "null"] } : { oneOf: anyOf, ...rest };
}

/** The variants have the type themselves. */
const untyped = (value: unknown, key: string) => (key === "type" ? undefined : value);

/** The keyword of 3.1 for examples. */
function exemplified({ example, ...schema }: Node): Node {
  return example === undefined ? schema : { ...schema, examples: [example] };
}

/** `\\d` is any digit of Unicode in some languages. */
function portable(schema: Node): Node {
  const { pattern } = schema;
  return typeof pattern === "string"
    ? { ...schema, pattern: pattern.replaceAll("\\d", "[0-9]") }
    : schema;
}

/** A format for every number: generators take it for the type. */
function formatted(schema: Node): Node {
  const types = [schema.type].flat();
  if (schema.format !== undefined) return schema;
  if (types.includes("integer")) return { ...schema, format: "int64" };
  return types.includes("number") ? { ...schema, format: "double" } : schema;
}
