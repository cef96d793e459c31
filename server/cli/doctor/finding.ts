/** The answer of a check: what was looked at, what was found, and the cure. */

/** `skipped`: another fault, or an option that is not given, leaves nothing to look at. */
export type Status = "ok" | "warning" | "failed" | "skipped";

/** A way to remove a fault. */
export interface Cure {
  /** For a person: what to do, or a line to write. */
  readonly cure: string;
  /** A command for a shell that does it, where there is one. */
  readonly command?: string | undefined;
}

export interface Finding extends Partial<Cure> {
  /** The name of the check, the same in every version. */
  readonly name: string;
  readonly status: Status;
  readonly detail: string;
}

export const ok = (name: string, detail: string): Finding => ({ name, status: "ok", detail });
export const skipped = (name: string, detail: string): Finding => ({
  name,
  status: "skipped",
  detail,
});
export const warning = (name: string, detail: string, cure: Cure): Finding => ({
  name,
  status: "warning",
  detail,
  ...cure,
});
export const failed = (name: string, detail: string, cure: Cure): Finding => ({
  name,
  status: "failed",
  detail,
  ...cure,
});

/** Looks at one part, or at several that depend on each other. */
export interface Check {
  /** The check's name, for a report that it did not end in time. */
  readonly name: string;
  /** Milliseconds for all of it. Default 10,000. */
  readonly timeoutMs?: number;
  run(): Promise<readonly Finding[]> | readonly Finding[];
}
