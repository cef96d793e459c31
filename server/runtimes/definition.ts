/** The definition of a built-in runtime: each has a file in this folder. */
import type { ReadOnlyBind } from "../sandbox/confinement.ts";

/** The start of a runner, which takes jobs from descriptor 3 and reports there (`messages.ts`). */
export interface Runner {
  readonly argv: readonly string[];
  /** The program that runs the runner, where the sandbox's own system does not have it. */
  readonly program?: ReadOnlyBind;
  /** The runner's own file. */
  readonly file: ReadOnlyBind;
  /** A command line that exits with 0 inside a sandbox in which the runtime works. */
  readonly probe: readonly string[];
  /** Whether devalue, which is for JavaScript alone, can encode the runtime's values. */
  readonly javascript: boolean;
}

/** The machine on which a runtime is looked for. */
export interface Machine {
  /** The folders of programs, separated by colons. */
  readonly path: string;
  /** A folder of the member, which its children's user can read. */
  readonly folder: string;
}

/** The runner for a machine; undefined where the machine does not have the runtime. */
export type Definition = (machine: Machine) => Runner | undefined | Promise<Runner | undefined>;
