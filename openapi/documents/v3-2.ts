/** The form of OpenAPI 3.2, which says that a stream consists of events, one after the other. */
import { mapStreams, type Node } from "./walk.ts";

/** @param document in its canonical form. */
export function version32(document: Node): Node {
  const withItems = mapStreams(
    document,
    ({ "x-itemSchema": itemSchema, schema: _, ...rest }): Node => ({ itemSchema, ...rest }),
  );
  return { ...withItems, openapi: "3.2.0" };
}
