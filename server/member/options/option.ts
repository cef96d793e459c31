/** The form of an option, and the checks that several options share. */
import { z } from "zod";
import { WEEK_MS } from "./constants.ts";

export interface Option {
  /**
   * Checks the value. A list is an option that can be repeated, a boolean is a switch. Default: any
   * text.
   */
  readonly schema?: z.core.$ZodType;
  /** Stands for the value in help texts; a switch has none. `FILE` names a file of this machine. */
  readonly value?: string;
  readonly short?: string;
  readonly doc: string;
  readonly default?: string | number;
  /** Says in words what happens without the option, where no constant is the default. */
  readonly otherwise?: string;
  /** A member that runs takes a changed value at once. Without it, a change needs a restart. */
  readonly reload?: true;
}

/** An option that a member is started with. */
export interface MemberOption extends Option {
  /** Path in `MemberOptions`, where it is not the configuration key: `name`, `tls.certFile`. */
  readonly path?: string;
  /** The command that alone takes the option. Without it, `serve` and `dev` take it. */
  readonly only?: "serve";
}

/** A whole number from `min` to `max`, both included. */
export function whole(min: number, max: number): z.ZodInt {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
}

/**
 * 10 seconds at least: the member passes its check every 5 seconds, and one request to Consul may
 * take 2.
 */
const MIN_FENCE_MS = 10_000;

export const fenceNumber = whole(0, WEEK_MS).refine(
  (ms) => ms === 0 || ms >= MIN_FENCE_MS,
  `expected 0 or at least ${MIN_FENCE_MS} milliseconds`,
);
