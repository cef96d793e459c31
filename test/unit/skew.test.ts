/** Placement among members of other versions: codes and spec keys that not everybody knows. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type Problem, problem } from "../../openapi/errors.ts";
import { SPEC_KEYS } from "../../openapi/schemas/spec.ts";
import { Client } from "../../sdk/typescript/http/client.ts";
import { NodeTransport } from "../../sdk/typescript/node/transport.ts";
import { fitting } from "../../sdk/typescript/placement/choice/fitting.ts";
import { DirectAccess } from "../../sdk/typescript/placement/direct-access.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";

const TRUE = { command: ["true"] };
const NEWER = { ...problem("at_capacity", "too hot"), code: "too_hot", status: 418 };

/** Members that answer an admission with a refusal, or else admit. */
async function membersOf(...refusals: (Problem | undefined)[]) {
  const tried: string[] = [];
  const members = await Promise.all(
    refusals.map(async (refusal, index): Promise<Member> => {
      const name = `m${index}`;
      const server = createServer((request, response) => {
        const isAdmission = request.method === "POST";
        if (isAdmission) tried.push(name);
        const refused = isAdmission ? refusal : undefined;
        const load = { active: index, max: 5, queued: 0 };
        const body = refused ?? (isAdmission ? { id: `${name}.0` } : { pools: { pipeline: load } });
        const type = refused ? "application/problem+json" : "application/json";
        request
          .resume()
          .on("end", () =>
            response
              .writeHead(refused?.status ?? 200, { "content-type": type })
              .end(JSON.stringify(body)),
          );
      });
      await once(server.listen(0, "127.0.0.1"), "listening");
      onTestFinished(() => void server.close());
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      return { name, url, pools: { pipeline: 5 }, sandbox: "none", version: "0" };
    }),
  );
  const client = new Client(new NodeTransport());
  onTestFinished(() => client.close());
  const list = {
    in: async () => members,
    find: async () => undefined,
    all: async () => members,
    registered: async () => members.map((member) => ({ ...member, state: "up" as const })),
    close: () => {},
  };
  return { access: new DirectAccess(client, list), tried };
}

describe("a refusal", () => {
  test.each<[string, Problem]>([
    ["with the code of a newer member", NEWER],
    ["of a member that could not start the child", problem("sandbox_unavailable", "no space")],
    [
      "of a known code that says that nothing ran",
      problem("fetch_failed", "x", { admitted: false }),
    ],
    ["of a member that has no room", problem("overloaded", "full")],
  ])("%s is made good by another member", async (_, refusal) => {
    const { access, tried } = await membersOf(refusal, undefined);
    expect(await access.placeChild("pipeline", TRUE)).toEqual({ id: "m1.0" });
    expect(tried).toEqual(["m0", "m1"]);
  });

  test("of every member reaches the caller as it is, and no member is asked twice", async () => {
    const { access, tried } = await membersOf(NEWER, NEWER);
    await expect(access.placeChild("pipeline", TRUE)).rejects.toMatchObject({
      code: "too_hot",
      status: 418,
    });
    expect(tried.sort()).toEqual(["m0", "m1"]);
  });

  test.each([true, "unknown"] as const)(
    "that says admitted: %s ends the search",
    async (admitted) => {
      const { access, tried } = await membersOf({ ...NEWER, admitted }, undefined);
      await expect(access.placeChild("pipeline", TRUE)).rejects.toMatchObject({ code: "too_hot" });
      expect(tried).toEqual(["m0"]);
    },
  );
});

describe("spec keys", () => {
  const member = (name: string, specKeys?: readonly string[]): Member => ({
    name,
    url: "http://127.0.0.1:7400",
    pools: { pipeline: 5 },
    sandbox: "none",
    version: "0",
    specKeys,
  });
  const old = member("old");
  const spec = { ...TRUE, priority: 1, limits: { cpus: 1, sockets: 5 } };

  test("that every version knows go to every member", () => {
    const newer = member("new", SPEC_KEYS);
    expect(fitting("pipeline", { ...TRUE, waitMs: 0 }, [old, newer])).toEqual([old, newer]);
  });

  test("that only newer members know go to those", () => {
    const newer = member("new", [...SPEC_KEYS, "priority", "limits.sockets"]);
    const half = member("half", [...SPEC_KEYS, "priority"]);
    expect(fitting("pipeline", spec, [old, half, newer])).toEqual([newer]);
  });

  test("that nobody knows are a refusal that names them", () => {
    expect(() => fitting("pipeline", spec, [old])).toThrow(
      "pool pipeline: expected a member that knows priority, limits.sockets; none of its 1 does",
    );
  });

  test("fit into one value of Consul's meta", () => {
    expect(SPEC_KEYS.join(" ").length).toBeLessThan(512);
  });
});
