/** The form for generators that read OpenAPI 3.0 only. */
import { mapSchemas, mapStreams, type Node, pruned, schemaAt, without } from "./walk.ts";

const LICENSE = { name: "MIT", url: "https://spdx.org/licenses/MIT.html" };

/**
 * Generators for 3.0 take the schema for that of the whole answer, and wait for its end. As bytes,
 * a client can read it line by line. The schemas of the events stay, for those who decode them.
 */
const STREAM = {
  type: "string",
  format: "binary",
  description: "Server-sent events, whose `data` lines are JSON: see `x-itemSchema`.",
};

/** @param document in the form for generators; see `sdkForm`. */
export function version30(document: Node): Node {
  const { schemas } = document.components as { readonly schemas: Node };
  const { info, ...rest } = mapSchemas(document, (schema) => schema30(schema, schemas));
  const about = { ...without(info as Node, "summary"), license: LICENSE };
  const asBytes = mapStreams(rest, (stream) => ({
    // The examples are single events.
    ...without(stream, "example", "examples"),
    schema: STREAM,
  }));
  return pruned({ ...asBytes, openapi: "3.0.3", info: about });
}

/** A reference without keywords beside it; `nullable` for null; `example` for `examples`. */
function schema30(schema: Node, schemas: Node): Node {
  if (schema.$ref) return { $ref: schema.$ref };
  const { examples, ...rest } = nullable(schema, schemas);
  return Array.isArray(examples) ? { ...rest, example: examples[0] } : rest;
}

const isNull = (schema: Node) => schema.type === "null";

function nullable(schema: Node, schemas: Node): Node {
  const { type, oneOf } = schema;
  if (Array.isArray(type) && type.includes("null"))
    return { ...schema, type: type.find((each) => each !== "null"), nullable: true };
  if (!Array.isArray(oneOf) || !oneOf.some(isNull)) return schema;
  const reference = oneOf.find((each) => !isNull(each));
  const referred = schemaAt(schemas, reference.$ref) ?? {};
  // A reference would refuse null, so a simple value stands here itself.
  const value = referred.properties ? { type: "object", allOf: [reference] } : referred;
  return { ...value, ...without(schema, "oneOf"), nullable: true };
}
