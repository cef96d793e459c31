/** The messages between the server and what runs a function inside a child: a line of JSON each, over descriptor 3. */
import type { FunctionError } from "../../../openapi/errors.ts";

/** Server to runner: a function to call. */
export interface Job {
  readonly type: "job";
  /** The function's source; or else: */
  readonly source?: string | undefined;
  /** the path of a module inside the sandbox. */
  readonly file?: string | undefined;
  readonly export?: string | undefined;
  /** Load the function, and do not call it. */
  readonly loadOnly?: boolean | undefined;
  readonly args: readonly unknown[];
  /** How `args` and the value of the report are written. */
  readonly encoding: "json" | "devalue";
  readonly context: {
    readonly member: string;
    readonly pool: string;
    readonly childId: string;
    readonly deadline: number | null;
  };
  /** Variables that were not known when the process was started. */
  readonly env: Readonly<Record<string, string>>;
  /** Written to stdout and stderr after the call by a runner that stays for further jobs; without it the runner exits. */
  readonly marker?: string | undefined;
}

/** Server to runner: the member drains. The function goes on; its signal aborts. */
export interface Drain {
  readonly type: "drain";
}

/** Runner to server, once, before it waits for its first job. */
export const READY = '{"kind":"ready"}';

/** Runner to server, by a runner that stays, before it looks at its job: until then nothing of it was run. */
export const begun = (marker: string) => `{"kind":"begun","marker":"${marker}"}`;

/** Runner to server, any number of times during a job. It carries no marker, which the function would learn by it. */
export interface ProgressMessage {
  readonly progress: { readonly done: number; readonly total?: number; readonly message?: string };
}

/** Runner to server: how a job ended. */
export type Report = {
  readonly cpuMs: number;
  readonly maxRssBytes: number;
  /** The marker of its job: the function does not know it, so that no earlier report, or one of its own, is taken for it. */
  readonly marker?: string | undefined;
  /** Whether the call left nothing running that the runner knows of. */
  readonly clean?: boolean | undefined;
} & ReportBody;

export type ReportBody =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: FunctionError; readonly detail: string }
  | { readonly kind: "invalid"; readonly detail: string };
