/** Every form of the contract, by the name of its file. All come from the same routes. */
import { sdkForm } from "./sdk.ts";
import { version30 } from "./v3-0.ts";
import { version32 } from "./v3-2.ts";
import type { Node } from "./walk.ts";

/** The names of the files. A member serves each under its name. */
export const FORMS = [
  "openapi.json",
  "openapi.sdk.json",
  "openapi.3.0.json",
  "openapi.3.2.json",
] as const;

/** @param document the canonical one. */
export function forms(document: Node): Readonly<Record<(typeof FORMS)[number], Node>> {
  const sdk = sdkForm(document);
  return {
    "openapi.json": document,
    "openapi.sdk.json": sdk,
    "openapi.3.0.json": version30(sdk),
    "openapi.3.2.json": version32(document),
  };
}
