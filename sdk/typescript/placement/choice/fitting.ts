/** Which members of a pool can serve a child spec at all. */
import { PoolError } from "../../../../openapi/errors.ts";
import { isAtLeast } from "../../../../openapi/limits.ts";
import type { ChildSpecInput } from "../../http/send-spec.ts";
import type { Member } from "../members.ts";

/** The keys that members of version 0.1.0 accept; those do not announce any. */
const FIRST_KEYS =
  "command function task env stdin files artifacts limits sandbox outputEncoding waitMs " +
  "deadlineMs link labels limits.memoryBytes limits.processes limits.cpus limits.cpuMs " +
  "limits.workspaceBytes limits.openFiles limits.outputBytes limits.artifactBytes";
const firstKeys: readonly string[] = FIRST_KEYS.split(" ");

/**
 * The members that know every key of the spec, and whose sandbox has the demanded level or a
 * stronger one.
 *
 * @throws {PoolError} `no_members_available` where there are members, but none that fits.
 */
export function fitting(
  pool: string,
  spec: ChildSpecInput,
  members: readonly Member[],
): readonly Member[] {
  if (members.length === 0) return members;
  const { sandbox } = spec;
  const keys = newKeysOf(spec);
  const knowing =
    keys.length === 0
      ? members
      : members.filter(({ specKeys = firstKeys }) => keys.every((key) => specKeys.includes(key)));
  if (knowing.length === 0)
    throw PoolError.of(
      "no_members_available",
      `pool ${pool}: expected a member that knows ${keys.join(", ")}; none of its ` +
        `${members.length} does`,
    );
  if (sandbox === undefined) return knowing;
  const strong = knowing.filter((member) => isAtLeast(member.sandbox, sandbox));
  if (strong.length > 0) return strong;
  const levels = [...new Set(knowing.map((member) => member.sandbox))].join(", ");
  throw PoolError.of(
    "no_members_available",
    `pool ${pool}: expected a member of sandbox level ${sandbox} or stronger; ` +
      `its ${knowing.length} have ${levels}`,
  );
}

/** The needs of a spec. Specs with the same needs fit the same members. */
export function demandsOf(spec: ChildSpecInput): (string | undefined)[] {
  return [spec.sandbox, ...newKeysOf(spec).sort()];
}

/** The keys of a spec that members of version 0.1.0 do not know. */
const newKeysOf = (spec: ChildSpecInput) => keysOf(spec).filter((key) => !firstKeys.includes(key));

/** The keys that a spec uses, those of `limits` behind a dot. */
function keysOf(spec: ChildSpecInput): string[] {
  const used = (value: object = {}) =>
    Object.entries(value).flatMap(([key, each]) => (each === undefined ? [] : [key]));
  return [...used(spec), ...used(spec.limits).map((key) => `limits.${key}`)];
}
