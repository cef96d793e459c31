/** Checks the limit of open files against the children and connections of a member. */
import { messageOf } from "../../../../openapi/errors.ts";
import type { Settings } from "../../../member/check-options.ts";
import { maxConnectionsOf } from "../../../member/max-connections.ts";
import { type Cure, type Finding, failed, ok, warning } from "../finding.ts";

/** 1,024 files, the usual limit of a shell. */
const LEAST = 1_024;

export function descriptorFinding(settings: Settings): Finding {
  let message: string | undefined;
  const log = (_: string, text: string) => {
    message = text;
  };
  try {
    const max = maxConnectionsOf({ ...settings, log });
    if (message === undefined) return ok("descriptors", `enough for ${max} connections`);
    return warning("descriptors", message, cureFor(message));
  } catch (error) {
    return failed("descriptors", messageOf(error), cureFor(messageOf(error)));
  }
}

function cureFor(message: string): Cure {
  const needed = Number(/need (\d+) open files/.exec(message)?.[1]);
  const limit = Math.max(LEAST, 2 ** Math.ceil(Math.log2(needed || 1)));
  return {
    cure: `as a service: LimitNOFILE=${limit} in its unit; otherwise before dpool, in its shell:`,
    command: `ulimit -n ${limit}`,
  };
}
