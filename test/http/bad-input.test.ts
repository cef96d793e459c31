/** Bad requests get a code and the expected value, and take no slot. */
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode } from "../../openapi/errors.ts";
import {
  callEvents,
  eventsOf,
  idle,
  lastOf,
  post,
  problemOf,
  startMembers,
  startOne,
  within,
} from "../helpers/member.ts";

const NO_CHILD = "0".repeat(32);

/** Checks a refusal and returns its detail. */
async function refused(response: Response, code: ErrorCode, detail: RegExp): Promise<string> {
  const refusal = await problemOf(response);
  expect(refusal).toMatchObject({
    code,
    status: ERRORS[code].status,
    detail: expect.stringMatching(detail),
  });
  expect(response.status).toBe(ERRORS[code].status);
  expect(response.headers.get("retry-after")).toBe(response.status === 503 ? "1" : null);
  return refusal.detail;
}

const MANY_BYTES = "x".repeat(131_072);

const SPECS: readonly [what: string, spec: Record<string, unknown>, detail: RegExp][] = [
  ["an unknown key", { command: ["true"], cmd: 1 }, /expected no such key; got "cmd"/],
  [
    "an unknown key in an object",
    { function: { source: "() => 1", arguments: [] } },
    /\/function: expected no such key; got "arguments"/,
  ],
  [
    "two kinds at once",
    { command: ["true"], function: { source: "() => 1" } },
    /expected exactly one of command, function, task; got command and function/,
  ],
  ["no kind at all", {}, /expected exactly one of command, function, task; got none/],
  ["an empty argv", { command: [] }, /\/command: expected at least the program to run/],
  [
    "an empty program",
    { command: [""] },
    /\/command\/0: expected the program to run; got an empty string/,
  ],
  ["a command that is a string", { command: "true" }, /\/command: expected an array; got a string/],
  [
    "NUL in an argument",
    { command: ["echo", "a\0b"] },
    /\/command\/1: expected a string without NUL/,
  ],
  [
    "NUL in a variable",
    { command: ["true"], env: { A: "a\0b" } },
    /\/env\/A: expected a string without NUL/,
  ],
  [
    "a variable with a bad name",
    { command: ["true"], env: { "A=B": "c" } },
    /\/env.*expected a variable name/,
  ],
  [
    "an argument too long",
    { command: ["echo", MANY_BYTES] },
    /\/command\/1: expected at most 131071 bytes/,
  ],
  [
    "an argument too long in bytes",
    { command: ["echo", "ä".repeat(70_000)] },
    /\/command\/1: expected at most 131071 bytes/,
  ],
  ["a negative deadline", { command: ["true"], deadlineMs: -1 }, /\/deadlineMs: .*>=1/],
  ["a deadline of nothing", { command: ["true"], deadlineMs: 0 }, /\/deadlineMs: .*>=1/],
  [
    "a deadline too far off",
    { command: ["true"], deadlineMs: 604_800_001 },
    /\/deadlineMs: .*<=604800000/,
  ],
  [
    "a deadline that is not whole",
    { command: ["true"], deadlineMs: 1.5 },
    /\/deadlineMs: .*expected a whole number; got a fraction/,
  ],
  [
    "stdin that is not base64",
    { command: ["cat"], stdin: { base64: "?" } },
    /\/stdin\/base64: expected base64/,
  ],
  ["an empty source", { function: { source: "" } }, /\/function\/source: /],
  [
    "arguments that are no array",
    { function: { source: "() => 1", args: {} } },
    /\/function\/args: .*expected an array/,
  ],
  [
    "a runtime whose name cannot be one",
    { function: { source: "() => 1", runtime: "co bol" } },
    /\/function\/runtime: expected the name of a runtime/,
  ],
];

describe.each(["/pools/pipeline/call", "/pools/pipeline/children", "/call", "/children"])(
  "POST %s",
  (path) => {
    const own = path.startsWith("/pools") ? {} : { pool: "pipeline" };

    test("refuses each bad spec", async () => {
      const member = await startOne();
      for (const [what, spec, detail] of SPECS) {
        const response = await post(member.url, path, { ...own, ...spec });
        const refusal = await refused(response, "invalid_request", detail).catch((error: Error) => {
          throw new Error(`${what}: ${error.message}`, { cause: error });
        });
        expect(refusal.length, `${what}: the input is not sent back`).toBeLessThan(1_000);
      }
      await idle(member);
    });

    test("refuses a __proto__ key", async () => {
      const member = await startOne();
      const body = JSON.stringify({ ...own, command: ["true"] }).replace(
        /}$/,
        ',"__proto__":{"env":{"A":"b"}}}',
      );
      await refused(await post(member.url, path, body), "invalid_request", /__proto__/);
      await idle(member);
    });

    test("refuses a body over the limit, with and without content-length", async () => {
      const member = await startOne({ maxBodyBytes: 2_048 });
      const body = JSON.stringify({ ...own, command: ["echo", "x".repeat(4_096)] });
      await refused(
        await post(member.url, path, body),
        "payload_too_large",
        /expected a body of at most 2048 bytes/,
      );
      const chunked = new Blob([body]).stream();
      await refused(
        await post(member.url, path, chunked),
        "payload_too_large",
        /expected a body of at most 2048 bytes/,
      );
      // The routes read JSON of every name, so it is no child's input.
      const named = await post(member.url, `${path}?spec=1`, body, {
        "content-type": "application/vnd.1+json",
      });
      await refused(named, "payload_too_large", /expected a body of at most 2048 bytes/);
      await idle(member);
    });

    test("refuses bodies that are not JSON", async () => {
      const member = await startOne();
      const send = (body: string | undefined, type?: string) =>
        post(member.url, path, body, type === undefined ? {} : { "content-type": type });
      const valid = JSON.stringify({ ...own, command: ["true"] });
      await refused(
        await send(valid, "text/plain"),
        "unsupported_media_type",
        /expected content-type: application\/json, multipart\/form-data.*; got text\/plain/,
      );
      await refused(
        await send(valid, "application/x-www-form-urlencoded"),
        "unsupported_media_type",
        /expected content-type: application\/json/,
      );
      await refused(await send(undefined), "invalid_request", /expected a JSON body; got none/);
      await refused(await send('{"command":["true"'), "invalid_request", /expected JSON: /);
      await refused(await send("[]"), "invalid_request", /expected an object; got an array/);
      await refused(await send("null"), "invalid_request", /expected an object; got null/);
      await idle(member);
    });

    test("survives JSON that nests deep", async () => {
      const member = await startOne();
      for (const depth of [1_000, 10_000, 200_000]) {
        const nested = `${"[".repeat(depth)}${"]".repeat(depth)}`;
        const body = JSON.stringify({
          ...own,
          function: { source: "(deep) => deep.length", args: ["DEEP"] },
        }).replace('"DEEP"', nested);
        const response = await post(member.url, path, body);
        if (response.status >= 400) await refused(response, "invalid_request", /nested|expected/);
        else if (path.endsWith("/call")) {
          const last = (await eventsOf(response)).at(-1);
          // The member carries the value or refuses it as invalid: it never fails.
          if (last?.type === "failed")
            expect(last.problem.code, `${depth} deep: ${last.problem.detail}`).toMatch(
              /^(invalid_request|function_threw)$/,
            );
        } else await response.json();
        await idle(member);
      }
    });
  },
);

describe("a pool", () => {
  test("that this member does not serve", async () => {
    const member = await startOne();
    for (const path of ["/call", "/children"])
      await refused(
        await post(member.url, path, { pool: "video", command: ["true"] }),
        "pool_not_found",
        /m1 does not serve pool video; it serves pipeline/,
      );
    await idle(member);
  });

  test("that nobody registered is pool_not_found everywhere, and names the pools", async () => {
    const [member] = await startMembers({}, { pools: { film: 1, sound: 2 } });
    const url = member?.url ?? "";
    const named = /no member serves pool video; the pools are: film, pipeline, sound$/;
    for (const operation of ["call", "run", "children"]) {
      const path = `/pools/video/${operation}`;
      const spec = { command: ["true"], waitMs: 20_000 };
      await refused(await post(url, path, spec), "pool_not_found", named);
    }
    await refused(await post(url, "/pools/video/pipe?command=cat"), "pool_not_found", named);
    for (const path of ["/pools/video", "/pools/video/children"])
      await refused(await fetch(`${url}${path}`), "pool_not_found", named);
    const here = /member m1 does not serve pool video; it serves pipeline$/;
    for (const path of ["/tasks?pool=video", "/children?pool=video"])
      await refused(await fetch(`${url}${path}`), "pool_not_found", here);
    for (const operation of ["call", "run", "children", "slots"])
      await refused(
        await post(
          url,
          `/${operation}`,
          operation === "slots" ? { pool: "video" } : { pool: "video", command: ["true"] },
        ),
        "pool_not_found",
        here,
      );
    await refused(await post(url, "/pipe?pool=video&command=cat"), "pool_not_found", here);
  });

  test("whose refusal names at most 20 others", async () => {
    const pools = Array.from({ length: 30 }, (_, index) => [`p${index + 10}`, 1] as const);
    const { url } = await startOne({ pools: Object.fromEntries(pools) });
    const detail = await refused(
      await post(url, "/pools/video/call", { command: ["true"] }),
      "pool_not_found",
      /: p10, .*, p29 and 10 more$/,
    );
    expect(detail).not.toContain("p30");
  });

  test("whose members all drain is no_members_available", async () => {
    const [m1, m2] = await startMembers({ drainMs: 20_000 }, { pools: { other: 1 } });
    const held = await post(m1?.url ?? "", "/call", {
      pool: "pipeline",
      command: ["sleep", "60"],
      link: true,
    });
    const stopped = m1?.stop();
    await within(
      "the drain to be known",
      (async () => {
        for (;;) {
          const { pools } = (await (await fetch(`${m2?.url}/pools`)).json()) as {
            pools: { pool: string; members: number }[];
          };
          if (pools.every(({ pool, members }) => pool !== "pipeline" || members === 0)) return;
        }
      })(),
    );
    for (const operation of ["call", "run", "children"])
      await refused(
        await post(m2?.url ?? "", `/pools/pipeline/${operation}`, { command: ["true"] }),
        "no_members_available",
        /none of its 1 members is ready/,
      );
    await held.body?.cancel();
    await within("the member's stop", stopped ?? Promise.resolve());
  });

  test("with a bad name", async () => {
    const member = await startOne();
    for (const name of ["bad%20name", "-x", "a.b", "x".repeat(64), "%00"]) {
      await refused(
        await post(member.url, `/pools/${name}/call`, { command: ["true"] }),
        "invalid_request",
        /\/pool: expected a pool name/,
      );
      await refused(
        await fetch(`${member.url}/pools/${name}`),
        "invalid_request",
        /\/pool: expected a pool name/,
      );
    }
    await refused(
      await post(member.url, "/call", { pool: "a b", command: ["true"] }),
      "invalid_request",
      /\/pool: expected a pool name/,
    );
    await refused(
      await fetch(`${member.url}/children?pool=a.b`),
      "invalid_request",
      /\/pool: expected a pool name/,
    );
    await refused(
      await fetch(`${member.url}/children?pol=pipeline`),
      "invalid_request",
      /expected no such key; got "pol"/,
    );
    await idle(member);
  });
});

describe("a child", () => {
  const asks = [
    ["GET", ""],
    ["DELETE", ""],
    ["GET", "/events"],
  ] as const;

  test("that does not exist, here or on another member", async () => {
    const [m1] = await startMembers({}, {});
    for (const [method, rest] of asks)
      for (const owner of ["m1", "m2", "nobody"]) {
        const response = await within(
          "the answer",
          fetch(`${m1?.url}/children/${owner}.${NO_CHILD}${rest}`, { method }),
        );
        await refused(response, "child_not_found", new RegExp(owner));
      }
  });

  test("with a malformed id", async () => {
    const { url } = await startOne();
    for (const [method, rest] of asks)
      for (const id of [
        "nonsense",
        `m1.${"0".repeat(31)}`,
        `m1.${"G".repeat(32)}`,
        `.${NO_CHILD}`,
        `a%2Fb.${NO_CHILD}`,
      ]) {
        const response = await within(
          "the answer",
          fetch(`${url}/children/${id}${rest}`, { method }),
        );
        await refused(
          response,
          "invalid_request",
          /\/id: expected a child id: a member name, a dot, 32 hexadecimal digits/,
        );
      }
  });

  test("with a Last-Event-ID that is malformed or in the future", async () => {
    const [m1, m2] = await startMembers({}, {});
    const events = await callEvents(m1?.url ?? "", "/call", {
      pool: "pipeline",
      command: ["true"],
    });
    lastOf(events, "result");
    const id = events[0]?.type === "placed" ? events[0].child.id : "";
    for (const member of [m1, m2]) {
      const attach = (after: string) =>
        within(
          "the answer",
          fetch(`${member?.url}/children/${id}/events`, { headers: { "last-event-id": after } }),
        );
      for (const after of ["abc", "-1", "1.5", "0x1", "1,2", id, "9".repeat(16)])
        await refused(
          await attach(after),
          "invalid_request",
          /\/last-event-id: expected the id of an event: a number/,
        );
      await refused(
        await attach("999"),
        "invalid_request",
        /expected the id of an event up to 2; got 999/,
      );
    }
  });

  test("that is placed cannot be linked", async () => {
    const member = await startOne();
    for (const [path, own] of [
      ["/children", { pool: "pipeline" }],
      ["/pools/pipeline/children", {}],
    ] as const)
      await refused(
        await post(member.url, path, { ...own, command: ["true"], link: true }),
        "invalid_request",
        /expected link to be false/,
      );
    await idle(member);
  });
});

describe("everything else", () => {
  test("an Accept that cannot be met", async () => {
    const member = await startOne();
    const all = "text/event-stream or application/json or application/octet-stream";
    for (const [operation, accept, forms] of [
      ["call", "image/png", all],
      ["run", "text/event-stream", "application/json"],
      ["run", "application/xml", "application/json"],
      ["run", "application/json;q=0", "application/json"],
      ["run", "application/json-seq", "application/json"],
      ["pipe?command=true&", "application/json", "application/octet-stream"],
      ["pipe?command=true&", "text/*", "application/octet-stream"],
    ] as const)
      for (const path of [`/pools/pipeline/${operation}`, `/${operation}pool=pipeline`]) {
        if (path.startsWith("/run") || path.startsWith("/call")) continue;
        await refused(
          await post(member.url, path, { command: ["true"] }, { accept }),
          "not_acceptable",
          new RegExp(`expected Accept: ${forms}; got ${accept.replace(/[*+]/g, ".")}$`),
        );
      }
    await idle(member);
  });

  test("an Accept of problems alone asks for no form", async () => {
    const { url } = await startOne();
    for (const [path, type] of [
      ["call", "text/event-stream"],
      ["run", "application/json"],
      ["pipe?command=true", "application/octet-stream"],
    ] as const) {
      const accept = "application/problem+json";
      const answer = await post(url, `/pools/pipeline/${path}`, { command: ["true"] }, { accept });
      expect([answer.status, answer.headers.get("content-type")]).toEqual([
        200,
        expect.stringContaining(type),
      ]);
      await answer.body?.cancel();
    }
  });

  test("an unknown path, and a method that a path does not have", async () => {
    const { url } = await startOne();
    for (const path of [
      "/nowhere",
      "/pools/pipeline/nothing",
      "/docs/nothing.js",
      "/children/a/b/c",
    ])
      await refused(await fetch(`${url}${path}`), "not_found", /./);
    for (const [method, path, allow] of [
      ["PUT", "/call", "POST"],
      ["GET", "/pools/pipeline/run", "POST"],
      ["OPTIONS", "/pipe", "POST"],
      ["PATCH", "/children", "POST, GET, HEAD"],
      ["DELETE", "/children/count", "GET, HEAD"],
      ["POST", `/children/m1.${NO_CHILD}`, "GET, HEAD, DELETE"],
      ["DELETE", `/children/m1.${NO_CHILD}/files/a/b`, "GET, HEAD"],
      ["POST", "/openapi.json", "GET, HEAD"],
      ["POST", "/livez", "GET, HEAD"],
    ] as const) {
      const answer = await within("the refusal", fetch(`${url}${path}`, { method }));
      expect([answer.status, answer.headers.get("allow")], `${method} ${path}`).toEqual([
        405,
        allow,
      ]);
      await refused(answer, "method_not_allowed", new RegExp(`; got ${method}$`));
    }
    const head = await within("the head", fetch(`${url}/pools`, { method: "HEAD" }));
    expect(head.status).toBe(200);
  });
});
