/** The messages between the server and the runner inside a child: one JSON value each way, over descriptor 3. */
import type { FunctionError } from "../../openapi/errors.ts";

/** Server to runner. */
export interface Job {
  readonly source: string;
  readonly args: readonly unknown[];
  readonly context: { readonly member: string; readonly pool: string; readonly childId: string; readonly deadline: number | null };
}

/** Runner to server. */
export type Report = { readonly cpuMs: number; readonly maxRssBytes: number } & (
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string }
);
