/**
 * A member under attack, with a child beside it that must not notice; and what has to hold when the
 * attack is over.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Count } from "../../openapi/resources.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import type { RunningMember } from "../../server/main.ts";
import {
  collect,
  eventsOf,
  getJson,
  type Options,
  post,
  startOne,
  streamOf,
  textOf,
  within,
} from "./member.ts";
import { LEVEL } from "./sandbox.ts";
import { eventually } from "./wait.ts";

/** An attack, its member's answer included, is over in this time. */
const ATTACK_MS = 50_000;
/** After a slot is free nothing is left but what the kernel is about to remove. */
const SETTLE_MS = 5_000;
const IDLE_MS = 20_000;

/** Why the attacks are not made here; undefined where they are. */
export const hostileMissing: string | undefined =
  LEVEL === "full"
    ? undefined
    : "no control group can be made here, or bubblewrap is missing or not allowed: " +
      "the sandbox is not whole";

/** The name of every group of this process's members begins with this. */
const GROUPS = `distributed-pool-${process.pid}-`;

/** Processes of this machine that are in a group of this process's members. */
export function survivors(prefix = GROUPS): string[] {
  return readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(prefix) &&
        !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
      );
    } catch {
      return false;
    }
  });
}

/**
 * All groups of members whose names begin so: the folders of their children's groups, and those.
 */
export function groupsOf(prefix: string): string[] {
  return find(["-name", `${prefix}*`, "-type", "d", "-o", "-path", `*/${prefix}*/*`, "-type", "d"]);
}

/** Groups of children of this process's members. */
export function groupsLeft(prefix = GROUPS): string[] {
  return find(["-path", `*/${prefix}*/*`, "-type", "d"]);
}

function find(which: readonly string[]): string[] {
  const found = spawnSync("find", ["/sys/fs/cgroup", ...which], { encoding: "utf8" });
  // It fails where a group goes while it looks.
  return found.stdout.split("\n").filter(Boolean);
}

export interface Attacked {
  readonly member: RunningMember;
  /** Makes an attack through `/call` and answers its events, the terminal one last. */
  attack(spec: ChildSpecInput): Promise<NumberedEvent[]>;
  /** The same for a shell script. */
  script(text: string, spec?: Partial<ChildSpecInput>): Promise<NumberedEvent[]>;
  /**
   * What has to hold afterwards; called by `attack` itself. For attacks that are made otherwise.
   */
  contained(): Promise<void>;
}

/**
 * Starts a member, and a sibling that counts on beside every attack.
 *
 * @param options of the member; pool `pipeline` has 3 slots unless said otherwise, one of which the
 * sibling takes.
 */
export async function startAttacked(options: Options = {}): Promise<Attacked> {
  const member = await startOne({ pools: { pipeline: 3, sibling: 1 }, graceMs: 200, ...options });
  const sibling = streamOf(
    await post(member.url, "/call", {
      pool: "sibling",
      command: ["sh", "-c", "n=0; while :; do echo $n; n=$((n+1)); sleep 0.2; done"],
    }),
  );
  let seen = 0;
  const beat = async () => {
    for (;;) {
      const { value, done } = await sibling.next();
      if (done) throw new Error("the sibling's stream has ended");
      if (value.type === "result" || value.type === "failed")
        throw new Error(`the sibling has ended: ${JSON.stringify(value)}`);
      if (value.type === "stdout") {
        for (const number of (value.text ?? "").trim().split("\n")) {
          expect(Number(number), "the sibling's next number").toBe(seen);
          seen += 1;
        }
        return;
      }
    }
  };
  const contained = async () => {
    // Where the attack's slot is free nothing of it is left; the sibling has one process tree and
    // one group by hierarchy.
    await poolIdle(member);
    await within("the sibling's next number", beat());
    expect(await getJson(`${member.url}/readyz`)).toMatchObject({ status: "ok", sandbox: "full" });
    const answer = await post(member.url, "/call", { pool: "pipeline", command: ["echo", "well"] });
    expect(textOf(await eventsOf(answer))).toBe("well\n");
    await poolIdle(member);
    const own = new Set(siblingGroups());
    await eventually(
      "no group of an ended child",
      () => expect(groupsLeft().filter((group) => !own.has(group))).toEqual([]),
      SETTLE_MS,
    );
  };
  /** The sibling was the first child of its sandbox. */
  const siblingGroups = () =>
    groupsLeft().filter((group) => /\/\d+$/.test(group) && hasProcesses(group));
  await within("the sibling's first number", beat());
  const attack = async (spec: ChildSpecInput) => {
    const response = await post(member.url, "/call", {
      pool: "pipeline",
      deadlineMs: ATTACK_MS * 0.8,
      ...spec,
    });
    if (response.status !== 200)
      throw new Error(`expected a stream; got HTTP ${response.status}: ${await response.text()}`);
    const events = await within(
      "the attack's terminal event",
      collect(streamOf(response)),
      ATTACK_MS,
    );
    expect(["result", "failed"]).toContain(events.at(-1)?.type);
    await contained();
    return events;
  };
  return {
    member,
    attack,
    contained,
    script: (text, spec = {}) => attack({ command: ["sh", "-c", text], ...spec }),
  };
}

function hasProcesses(group: string): boolean {
  try {
    return readFileSync(`${group}/cgroup.procs`, "utf8") !== "";
  } catch {
    // It has gone in this moment.
    return false;
  }
}

function poolIdle({ url }: RunningMember): Promise<void> {
  const check = async () =>
    expect((await getJson<Count>(`${url}/children/count`)).pools.pipeline?.active).toBe(0);
  return eventually("the pool to be idle", check, IDLE_MS);
}
