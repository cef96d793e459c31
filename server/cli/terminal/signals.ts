/** The signals by which a person, or another program, ends a command. */
import { constants } from "node:os";

/** The exit code of a command that a signal ends, as a shell has it: 128 and its number. */
export const exitCodeOf = (signal: NodeJS.Signals) => 128 + constants.signals[signal];
