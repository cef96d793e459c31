/** A caller tries to see, feed and stop what another caller of the same pool has placed. */
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { newToken } from "../../server/access/tokens.ts";
import type { RunningMember } from "../../server/main.ts";
import { eventsOf, lastOf, problemOf, startMembers, within } from "../helpers/member.ts";

const HOLDERS = {
  ann: newToken("ann", ["call"], ["pipeline"]),
  bob: newToken("bob", ["call"], ["pipeline"]),
  watcher: newToken("watcher", ["observe"], ["pipeline"]),
  foreman: newToken("foreman", ["call", "observe"], ["pipeline"]),
  boss: newToken("boss", ["admin"], ["*"]),
};
type Holder = keyof typeof HOLDERS;

/** The ways to a child; those that act on it come last. */
const LOOKS = ["GET ", "GET /events", "GET /files/left.txt"] as const;
const ACTS = ["POST /stdin", "POST /signal", "DELETE "] as const;

async function startWithTokens(): Promise<[gate: RunningMember, far: RunningMember]> {
  const folder = await mkdtemp(join(tmpdir(), "dpool-owners-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const tokenFile = join(folder, "tokens");
  const lines = Object.values(HOLDERS).map(({ line }) => `${line}\n`);
  writeFileSync(tokenFile, lines.join(""), { mode: 0o600 });
  const pools = { pipeline: 4 };
  const members = await startMembers({ pools: { gate: 1 }, tokenFile }, { pools, tokenFile });
  return members as [RunningMember, RunningMember];
}

function ask(
  { url }: RunningMember,
  holder: Holder,
  request: string,
  body?: object,
): Promise<Response> {
  const [method = "GET", path = ""] = request.split(" ");
  return within(
    `${holder}: ${request}`,
    fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${HOLDERS[holder].token}`,
        ...(body && { "content-type": "application/json" }),
      },
      ...(body && { body: JSON.stringify(body) }),
    }),
  );
}

const LASTING = "sleep 60";

async function place(member: RunningMember, holder: Holder, script = LASTING): Promise<ChildInfo> {
  const spec = {
    command: ["sh", "-c", `echo hello > left.txt; ${script}`],
    artifacts: ["left.txt"],
    env: { SECRET: "swordfish" },
  };
  const response = await ask(member, holder, "POST /pools/pipeline/children", spec);
  expect(response.status).toBe(201);
  return (await response.json()) as ChildInfo;
}

/** The request of one of the ways to a child. */
function on(id: string, way: string): [request: string, body?: object] {
  const [method, rest] = way.split(" ");
  const request = `${method} /children/${id}${rest}`;
  return way === "POST /signal" ? [request, { signal: "SIGUSR1" }] : [request];
}

test("a token with call finds no child of another caller, wherever it asks", async () => {
  const [gate, far] = await startWithTokens();
  const child = await place(gate, "ann");
  expect(child).toMatchObject({ member: "m2", owner: "ann" });
  const unknown = `m2.${"0".repeat(32)}`;
  for (const member of [gate, far])
    for (const way of [...LOOKS, ...ACTS]) {
      const [answer, expected] = await Promise.all(
        [child.id, unknown].map(async (id) => {
          const { code, detail } = await problemOf(await ask(member, "bob", ...on(id, way)));
          return { code, detail: detail.replace(id, "ID") };
        }),
      );
      // The answer does not tell that the child exists.
      expect([way, answer]).toEqual([way, expected]);
      expect(answer?.code).toBe("child_not_found");
    }
  for (const path of ["/children", "/pools/pipeline/children"])
    for (const [holder, count] of [
      ["ann", 1],
      ["bob", 0],
      ["watcher", 1],
      ["foreman", 1],
      ["boss", 1],
    ] as const) {
      const answer = await ask(path === "/children" ? far : gate, holder, `GET ${path}`);
      const { children } = (await answer.json()) as { children: ChildInfo[] };
      expect([path, holder, children.length]).toEqual([path, holder, count]);
    }
});

test("observe sees another caller's child without its variables, and cannot act", async () => {
  const [gate, far] = await startWithTokens();
  const child = await place(gate, "ann");
  for (const holder of ["watcher", "foreman", "boss"] as const) {
    const answer = await ask(far, holder, `GET /children/${child.id}`);
    const text = await answer.text();
    expect(JSON.parse(text)).toMatchObject({ id: child.id, owner: "ann", status: "running" });
    expect(text).not.toContain("swordfish");
    // An admin sees the command, which names the file.
    expect([holder, text.includes("left.txt")]).toEqual([holder, holder === "boss"]);
  }
  for (const holder of ["watcher", "foreman"] as const)
    for (const way of ACTS) {
      const { code } = await problemOf(await ask(gate, holder, ...on(child.id, way)));
      expect([holder, way, code]).toEqual([holder, way, "forbidden"]);
    }
  expect((await ask(gate, "boss", `DELETE /children/${child.id}?graceMs=0`)).status).toBe(202);
  const events = await eventsOf(await ask(gate, "watcher", `GET /children/${child.id}/events`));
  expect(lastOf(events, "failed").problem.code).toBe("cancelled");
  const { id } = await place(gate, "ann", "exit");
  await eventsOf(await ask(gate, "watcher", `GET /children/${id}/events`));
  const artifact = await ask(far, "watcher", `GET /children/${id}/files/left.txt`);
  expect(await artifact.text()).toBe("hello\n");
});

test("a child that its member has forgotten stays unknown to other callers", async () => {
  const [, far] = await startWithTokens();
  const answer = await ask(far, "ann", "POST /children", { pool: "pipeline", command: ["true"] });
  const { id } = (await answer.json()) as ChildInfo;
  await eventsOf(await ask(far, "ann", `GET /children/${id}/events`));
  // A member remembers the last 100 children of a pool.
  for (let round = 0; round < 26; round++)
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        const spec = { pool: "pipeline", command: ["true"], waitMs: 10_000 };
        await (await ask(far, "boss", "POST /run", spec)).arrayBuffer();
      }),
    );
  const codes = async (holder: Holder) =>
    (await problemOf(await ask(far, holder, `GET /children/${id}/events`))).code;
  expect(await codes("ann")).toBe("child_forgotten");
  expect(await codes("watcher")).toBe("child_forgotten");
  expect(await codes("bob")).toBe("child_not_found");
});
