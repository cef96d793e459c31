/** Fills the defaults into a member's options. */
import { withoutUndefined } from "../sandbox/confinement.ts";
import { DEFAULTS, type MemberOptions } from "./options.ts";

export type Settings = ReturnType<typeof settingsOf>;

/** The options that are in force: those that are given, and the defaults of all others. */
export function settingsOf(options: MemberOptions) {
  return { log: () => {}, ...DEFAULTS, ...withoutUndefined(options) };
}
