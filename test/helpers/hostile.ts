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

/** Processes of this machine in a group of this process's members, without waiting sandboxes. */
export function survivors(prefix = GROUPS): string[] {
  const pids = readdirSync("/proc").filter((pid) => {
    try {
      return (
        /^\d+$/.test(pid) &&
        groupOf(pid).includes(prefix) &&
        !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))
      );
    } catch {
      return false;
    }
  });
  const waiting = new Set(pids.filter(isWaiting).map(groupOf));
  return pids.filter((pid) => !waiting.has(groupOf(pid)));
}

/** The groups of a process; empty for one that has ended. */
function groupOf(pid: string): string {
  return attempt(() => readFileSync(`/proc/${pid}/cgroup`, "utf8")) ?? "";
}

/** Whether a process is the shell of a sandbox that was made beforehand and waits for its call. */
function isWaiting(pid: string): boolean {
  const line = attempt(() => readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  return line?.startsWith("/bin/sh\0-c\0. /proc/self/fd/") ?? false;
}

/** The processes of a group; empty for one that has been removed in this moment. */
function processesOf(group: string): string[] {
  const text = attempt(() => readFileSync(`${group}/cgroup.procs`, "utf8")) ?? "";
  return text.split("\n").filter(Boolean);
}

function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

/**
 * All groups of members whose names begin with the prefix, and the groups of their children.
 */
export function groupsOf(prefix: string): string[] {
  return find(["-name", `${prefix}*`, "-type", "d", "-o", "-path", `*/${prefix}*/*`, "-type", "d"]);
}

/** Groups of children of this process's members, without those of waiting sandboxes. */
export function groupsLeft(prefix = GROUPS): string[] {
  return find(["-path", `*/${prefix}*/*`, "-type", "d"]).filter(
    (group) => !processesOf(group).some(isWaiting),
  );
}

/** The names of this process's groups in which a sandbox waits. */
function waitingGroups(): Set<string> {
  const groups = find(["-path", `*/${GROUPS}*/*`, "-type", "d"]);
  const waiting = groups.filter((group) => processesOf(group).some(isWaiting));
  return new Set(waiting.map((group) => group.slice(group.indexOf(GROUPS))));
}

function find(which: readonly string[]): string[] {
  const found = spawnSync("find", ["/sys/fs/cgroup", ...which], { encoding: "utf8" });
  // `find` fails where a group is removed while it looks.
  return found.stdout.split("\n").filter(Boolean);
}

/**
 * Pools for attacks on both ways of starting: in `pipeline` each command starts in a sandbox of its
 * own, and in `prepared` in one that was made beforehand.
 */
export const BOTH_WAYS = {
  pipeline: { maxChildren: 3, warm: { command: 0 } },
  prepared: { maxChildren: 3, warm: { command: 1 } },
  sibling: { maxChildren: 1, warm: { command: 0 } },
};

export interface Attacked {
  readonly member: RunningMember;
  /** Makes an attack through `/call` and answers its events, the terminal one last. */
  attack(spec: ChildSpecInput): Promise<NumberedEvent[]>;
  /** The same for a shell script. */
  script(text: string, spec?: Partial<ChildSpecInput>): Promise<NumberedEvent[]>;
  /** The same attack in both pools of {@link BOTH_WAYS}, one after the other. */
  inBoth(spec: ChildSpecInput): Promise<NumberedEvent[][]>;
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
    groupsLeft().filter((group) => /\/\d+$/.test(group) && processesOf(group).length > 0);
  await within("the sibling's first number", beat());
  const attack = async (spec: ChildSpecInput, pool = "pipeline") => {
    const response = await post(member.url, "/call", {
      pool,
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
  const inBoth = async (spec: ChildSpecInput) => {
    const events = await attack(spec);
    await eventually("a sandbox that waits", () => expect(waitingGroups().size).toBe(1), IDLE_MS);
    const [group = ""] = waitingGroups();
    const others = await attack(spec, "prepared");
    // The attack took it: its group has ended with the attack.
    expect(find(["-path", `*/${group}`])).toEqual([]);
    return [events, others];
  };
  return {
    member,
    attack: (spec) => attack(spec),
    inBoth,
    contained,
    script: (text, spec = {}) => attack({ command: ["sh", "-c", text], ...spec }),
  };
}

function poolIdle({ url }: RunningMember): Promise<void> {
  const check = async () => {
    const { pipeline, prepared } = (await getJson<Count>(`${url}/children/count`)).pools;
    expect([pipeline?.active, prepared?.active ?? 0]).toEqual([0, 0]);
  };
  return eventually("the pool to be idle", check, IDLE_MS);
}
