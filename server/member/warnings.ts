/** Warns the operator of options that give up protection. */

import type { SandboxLevel } from "../../openapi/limits.ts";
import { isLoopback } from "../access/browser-guard.ts";
import type { Settings } from "./settings.ts";

export function warnOfRisks(
  { host, log }: Settings,
  sandbox: SandboxLevel,
  authenticated: boolean,
): void {
  if (sandbox === "no-cgroup")
    log(
      "warn",
      "without control groups: nothing limits the memory and cpu of a whole child, " +
        "only of each of its processes",
    );
  if (sandbox === "none")
    log("warn", "the sandbox is off: children are plain processes with this server's rights");
  if (!isLoopback(host) && !authenticated)
    log(
      "warn",
      `listening on ${host} without authentication (--insecure): ` +
        "whoever reaches this port runs programs here",
    );
}
