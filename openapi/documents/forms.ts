/** Every form of the contract, by the name of its file. All come from the same routes. */
import { sdkForm } from "./sdk.ts";
import { version30 } from "./v3-0.ts";
import { version32 } from "./v3-2.ts";
import type { Node } from "./walk.ts";

/** @param document the canonical one. */
export function forms(document: Node): Readonly<Record<string, Node>> {
  const sdk = sdkForm(document);
  return {
    "openapi.json": document,
    "openapi.sdk.json": sdk,
    "openapi.3.0.json": version30(sdk),
    "openapi.3.2.json": version32(document),
  };
}
