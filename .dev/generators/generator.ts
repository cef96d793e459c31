/** The words of the harness: a generator is data, and `run.ts` does the same with each. */
import { fileURLToPath } from "node:url";
import type { Command } from "./steps.ts";

export const CHECKS = ["generates", "compiles", "call", "place", "errors", "stream"] as const;
export type Check = (typeof CHECKS)[number];

export interface Generator {
  /** Its folder of call programs, and of its work. */
  readonly name: string;
  readonly title: string;
  /** The form of the contract that it gets. */
  readonly document: "openapi.sdk.json" | "openapi.3.0.json";
  /** Programs without which it is skipped. */
  readonly needs: readonly string[];
  readonly install?: readonly Command[];
  readonly generate: readonly Command[];
  readonly compile: readonly Command[];
  readonly call: readonly Command[];
  /** Text for a cell, beside its mark. */
  readonly notes?: Partial<Record<Check, string>>;
}

const pathOf = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The root of the repository. */
export const ROOT = pathOf("../../");
/** Downloads, work and logs. */
export const TOOLS = `${ROOT}.tools/generators`;
/** Programs of the npm packages. */
export const BIN = `${ROOT}node_modules/.bin`;
/** Python with openapi-python-client, as `.dev/setup.sh test` makes it. */
export const PYTHON = `${ROOT}.tools/python/bin`;

export const documentPath = (document: Generator["document"]) => `${ROOT}openapi/${document}`;
