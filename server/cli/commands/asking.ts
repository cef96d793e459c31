/** The commands that ask a member, or find one through Consul. */
import type { Asking } from "../command-table.ts";
import { attach, call, place } from "./call.ts";
import { logs, signal, stdin, stop } from "./child.ts";
import { type Ask, withPools } from "./connect.ts";
import { drain, members, ps } from "./members.ts";

/** The program of each command. It resolves with the exit code of the process. */
export const ASK: Readonly<Record<Asking, Ask>> = {
  call: withPools(call),
  place: withPools(place),
  ps: withPools(ps),
  logs: withPools(logs),
  attach: withPools(attach),
  stop: withPools(stop),
  stdin: withPools(stdin),
  signal: withPools(signal),
  members: withPools(members),
  drain: withPools(drain),
};
