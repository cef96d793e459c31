/** Looks at the members of pools: who answers, their versions and levels, and their room. Pure. */
import type { Pool } from "../../../openapi/types.gen.ts";
import { type Finding, failed, ok, warning } from "./finding.ts";

/** The names of the checks of a pool. */
export const POOL_CHECKS = ["pools", "members", "versions", "levels", "room"] as const;

export function poolFindings(pools: readonly Pool[]): Finding[] {
  if (pools.length === 0)
    return [
      failed("pools", "there are no pools, or none that the token may use", {
        cure: "start a member with one: dpool serve --pool pipeline=5; or ask for another token",
      }),
    ];
  return [
    ok("pools", pools.map(({ pool, members }) => `${pool}: ${members.length} members`).join(", ")),
    unreachableFinding(pools),
    versionFinding(pools),
    levelFinding(pools),
    ...pools.map(roomFinding),
  ];
}

/** Every member once. */
function membersOf(pools: readonly Pool[]): Pool["members"] {
  return [
    ...new Map(pools.flatMap(({ members }) => members.map((each) => [each.member, each]))).values(),
  ];
}

function unreachableFinding(pools: readonly Pool[]): Finding {
  const all = membersOf(pools);
  const lost = all.filter(({ load }) => load === null);
  const draining = all.filter(({ state }) => state === "draining").map(({ member }) => member);
  const drains = draining.length > 0 ? `; draining: ${draining.join(", ")}` : "";
  if (lost.length === 0) return ok("members", `all answer${drains}`);
  const names = lost.map(({ member, url }) => `${member} at ${url}`).join(", ");
  return failed("members", `no answer from ${names}${drains}`, {
    cure: "start them again, or open their ports; dpool doctor on their machines tells more",
  });
}

function versionFinding(pools: readonly Pool[]): Finding {
  const byVersion = Map.groupBy(membersOf(pools), ({ version }) => version);
  const shown = [...byVersion]
    .map(([version, members]) => `${version}: ${members.map(({ member }) => member).join(", ")}`)
    .join("; ");
  return byVersion.size <= 1
    ? ok("versions", shown)
    : warning("versions", shown, {
        cure: "bring all members to one version; a new key of a child spec goes only to new ones",
      });
}

function levelFinding(pools: readonly Pool[]): Finding {
  const weak = membersOf(pools).filter(({ sandbox }) => sandbox !== "full");
  if (weak.length === 0) return ok("levels", "every member has a full sandbox");
  const names = weak.map(({ member, sandbox }) => `${member} has ${sandbox}`).join(", ");
  return warning("levels", names, { cure: "dpool doctor on their machines tells what is missing" });
}

/** Only members that are up have room. A member of an earlier version tells no state. */
function roomFinding({ pool, members }: Pool): Finding {
  const loads = members.flatMap(({ load, state = "up" }) => (state === "up" && load) || []);
  const sum = (key: "active" | "max" | "queued") =>
    loads.reduce((total, load) => total + load[key], 0);
  const taken = `${sum("active")} of ${sum("max")} slots are taken`;
  const shown = `${pool}: ${taken}, ${sum("queued")} calls wait`;
  return sum("active") < sum("max") && sum("queued") === 0
    ? ok("room", shown)
    : warning("room", shown, {
        cure: "add a member, or give one more slots: --pool NAME=MAX; --wait-ms lets calls wait",
      });
}
