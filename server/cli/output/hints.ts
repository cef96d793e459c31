/** The next step for a person whom a problem has stopped. */
import type { Problem } from "../../../openapi/errors.ts";
import { wordMeant } from "../../member/options/expectation.ts";

const WAIT = "--wait-ms 60000 waits up to a minute for a slot";

/** The next steps by code. Each begins with a command or a flag. */
const NEXT: Readonly<Record<string, string>> = {
  all_members_at_capacity: WAIT,
  at_capacity: WAIT,
  queue_timeout: "a higher --wait-ms waits longer for a slot",
  child_not_found: "dpool ps lists the children",
  child_forgotten: "dpool ps lists the children that are remembered",
  unauthorized: "DPOOL_TOKEN, or --token, says who calls",
  deadline_exceeded: "--deadline-ms gives a child more time, up to what the pool allows",
  idempotency_conflict: "another --idempotency-key starts another child",
};

/** The refusal of a gateway, or of Consul, that names the pools that exist. */
const UNKNOWN_POOL = /pool (\S+); the pools are: (.*)$/;

/** The next step after a problem; undefined where none is known. */
export function hintFor({ code, detail }: Pick<Problem, "code" | "detail">): string | undefined {
  if (code === "no_members_available") {
    if (/certificate has expired/i.test(detail)) return "dpool doctor, at the member, has the cure";
    if (/certificate/i.test(detail)) return "--ca FILE names the authority of the members";
    // The member is there, and the detail says how to ask it.
    if (detail.includes("does not speak https")) return undefined;
    if (detail.startsWith("cannot reach"))
      return "dpool dev starts members on this machine; --url names another member";
  }
  if (code !== "pool_not_found") return Object.hasOwn(NEXT, code) ? NEXT[code] : undefined;
  const [, unknown = "", pools = ""] = UNKNOWN_POOL.exec(detail) ?? [];
  const meant = wordMeant(unknown, pools.split(", "));
  return meant === undefined ? "dpool members lists the pools" : `did you mean ${meant}?`;
}
