/** The form of OpenAPI 3.2, which says that a stream consists of events, one after the other. */
import { isNode, mapValues, type Node } from "./walk.ts";

/** @param document in its canonical form. */
export function version32(document: Node): Node {
  return { ...(withItems(document) as Node), openapi: "3.2.0" };
}

function withItems(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withItems);
  if (!isNode(part)) return part;
  const { "x-itemSchema": itemSchema, schema, ...rest } = part;
  return itemSchema ? { itemSchema, ...rest } : mapValues(part, withItems);
}
