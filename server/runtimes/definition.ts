/** What a runtime's file in this folder says of it. */
import type { ReadOnlyBind } from "../sandbox/confinement.ts";

/** How a runner is started: a program that takes jobs from descriptor 3 and reports to it (`messages.ts`). */
export interface Runner {
  readonly argv: readonly string[];
  /** The program that runs it, where it is not of the sandbox's own system. */
  readonly program?: ReadOnlyBind;
  /** The file that it runs. */
  readonly file: ReadOnlyBind;
  /** A program that exits with 0 inside a sandbox where the runtime can be used. */
  readonly probe: readonly string[];
  /** Whether its values can be written by devalue, which is for JavaScript alone. */
  readonly javascript: boolean;
}

/** The machine that a runtime may be on. */
export interface Machine {
  /** Where programs are looked for, as `PATH` has it. */
  readonly path: string;
  /** Private to the member, readable by its children's user. */
  readonly folder: string;
}

/** Undefined where the machine cannot have it. */
export type Definition = (machine: Machine) => Runner | undefined | Promise<Runner | undefined>;
