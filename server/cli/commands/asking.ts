/** The commands that ask a member, or find one through Consul. */

import { attach, call, place } from "../calls/call.ts";
import { map } from "../calls/map.ts";
import { run } from "../calls/run.ts";
import type { Asking } from "../command-table.ts";
import { logs, signal, stdin, stop } from "./child.ts";
import { type Ask, withPools } from "./connect.ts";
import { drain, members, ps } from "./members.ts";
import { ui } from "./ui.ts";

/** The program of each command. It resolves with the exit code of the process. */
export const ASK: Readonly<Record<Asking, Ask>> = {
  call: withPools(call),
  run: withPools(run),
  map: withPools(map),
  place: withPools(place),
  ps: withPools(ps),
  logs: withPools(logs),
  attach: withPools(attach),
  stop: withPools(stop),
  stdin: withPools(stdin),
  signal: withPools(signal),
  members: withPools(members),
  ui: withPools(ui),
  drain: withPools(drain),
};
