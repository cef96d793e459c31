/**
 * A member under attack, with a sibling child that must not notice, and the checks that hold when
 * the attack is over.
 */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { expect } from "vitest";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
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

/** The deadline of an attack, the member's answer included. */
const ATTACK_MS = 50_000;
/**
 * Once a slot is free, only remains that the kernel is about to remove may exist, for this long.
 */
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

/** Processes of this machine in a group of this process's members. */
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
 * All groups of members whose names begin with the prefix, and the groups of their children.
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
  // `find` fails where a group is removed while it looks.
  return found.stdout.split("\n").filter(Boolean);
}

export interface Attacked {
  readonly member: RunningMember;
  /** Makes an attack through `/call` and answers its events, the terminal one last. */
  attack(spec: ChildSpecInput): Promise<NumberedEvent[]>;
  /** The same for a shell script. */
  script(text: string, spec?: Partial<ChildSpecInput>): Promise<NumberedEvent[]>;
  /**
   * Checks what must hold after an attack. `attack` calls it; other kinds of attack call it
   * themselves.
   */
  contained(): Promise<void>;
}

/**
 * Starts a member, and a sibling that keeps counting beside every attack.
 *
 * @param options of the member. Pool `pipeline` has 3 slots by default; the sibling takes one.
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
    // Once the attack's slot is free, nothing of it exists; the sibling has one process tree, and
    // one group in each hierarchy.
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
    // The process has ended in this moment.
    return false;
  }
}

function poolIdle({ url }: RunningMember): Promise<void> {
  const check = async () =>
    expect((await getJson<Count>(`${url}/children/count`)).pools.pipeline?.active).toBe(0);
  return eventually("the pool to be idle", check, IDLE_MS);
}
