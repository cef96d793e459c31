/** The shape of an option: one entry is the source of its flag, variable, key, check and text. */
import { z } from "zod";

export interface Option {
  /** Checks the value. A list is an option that can be repeated, a boolean is a switch. */
  readonly schema: z.ZodType;
  /** Stands for the value in help texts; a switch has none. `FILE` names a file of this machine. */
  readonly value?: string;
  readonly short?: string;
  readonly doc: string;
  readonly default?: string | number;
  /** Says in words what happens without the option, where no constant is the default. */
  readonly otherwise?: string;
}

/** An option that a member is started with. */
export interface MemberOption extends Option {
  /** Path in `MemberOptions`, where it is not the configuration key: `name`, `tls.certFile`. */
  readonly path?: string;
  /** A member that runs takes a changed value at once. Without it, a change needs a restart. */
  readonly reload?: true;
  /** The command that alone takes the option. Without it, `serve` and `dev` take it. */
  readonly only?: "serve";
}

/** A whole number from `min` to `max`, both included. */
export function whole(min: number, max: number): z.ZodInt {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
}
