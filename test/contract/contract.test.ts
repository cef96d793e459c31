/** The committed contract, its operations on a member, and the table of codes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { buildDocument } from "../../openapi/document.ts";
import { ERROR_CODES, ERRORS, problem } from "../../openapi/errors.ts";
import { ROUTES } from "../../openapi/routes.ts";
import { PoolEventSchema } from "../../openapi/schemas/events.ts";
import { ProblemSchema } from "../../openapi/schemas/problem.ts";
import { callEvents, getJson, problemOf, startOne, within } from "../helpers/member.ts";

const document = JSON.parse(JSON.stringify(buildDocument())) as {
  openapi: string;
  paths: Record<
    string,
    Record<
      string,
      { operationId: string; responses: Record<string, { content?: Record<string, unknown> }> }
    >
  >;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

test("openapi.json matches the routes", () => {
  expect(
    JSON.parse(readFileSync(new URL("../../openapi/openapi.json", import.meta.url), "utf8")),
  ).toEqual(document);
  expect(document.openapi).toMatch(/^3\.1\./);
});

test("the document holds each route once, under an id of its own", () => {
  expect(operations.map(({ operation }) => operation.operationId).toSorted()).toEqual(
    ROUTES.map(({ operationId }) => operationId).toSorted(),
  );
  expect(new Set(ROUTES.map(({ operationId }) => operationId)).size).toBe(ROUTES.length);
});

test("each refusal in the document is a problem", () => {
  for (const { path, operation } of operations)
    for (const [status, { content }] of Object.entries(operation.responses))
      if (Number(status) >= 400 && path !== "/readyz")
        expect(Object.keys(content ?? {}), `${operation.operationId} ${status}`).toEqual([
          "application/problem+json",
        ]);
});

test("a member serves the document", async () => {
  const { url } = await startOne();
  expect(await getJson(`${url}/openapi.json`)).toEqual(document);
});

test.each(ROUTES.map((route) => [route.operationId, route] as const))(
  "a member serves %s",
  async (_, { method, path }) => {
    const { url } = await startOne();
    const filled = path.replace("{pool}", "pipeline").replace("{id}", `m1.${"0".repeat(32)}`);
    const target = `${url}${filled}`;
    const response = await within(
      "the answer",
      fetch(target, {
        method: method.toUpperCase(),
        ...(method === "post"
          ? { body: "{}", headers: { "content-type": "application/json" } }
          : {}),
      }),
    );
    expect(response.headers.get("pool-member")).toBe("m1");
    if (response.status < 400) await response.body?.cancel();
    else {
      const refusal = await problemOf(response);
      expect(refusal.code).not.toBe("not_found");
      // The document lists the status.
      expect(Object.keys(document.paths[path]?.[method]?.responses ?? {})).toContain(
        String(response.status),
      );
    }
  },
);

test("every code has a status, a title, and makes a valid problem", () => {
  expect(Object.keys(ERRORS).toSorted()).toEqual([...ERROR_CODES].toSorted());
  for (const code of ERROR_CODES) {
    const refusal = problem(code, "for the test");
    expect(ProblemSchema.safeParse(refusal).success, code).toBe(true);
    expect(refusal.status).toBeGreaterThanOrEqual(400);
    expect(refusal.title).not.toBe("");
    expect(refusal.type).toBe(`urn:distributed-pool:problem:${code}`);
    // The status alone tells a client whether it may send the request again.
    expect(ERRORS[code].retryable, code).toBe([408, 429, 503].includes(refusal.status));
  }
});

test("the events of a stream match the schemas", async () => {
  const { url } = await startOne();
  for (const spec of [
    { command: ["sh", "-c", "echo out; echo err >&2"] },
    { function: { source: "() => { throw new Error('no') }" } },
  ]) {
    const events = await callEvents(url, "/pools/pipeline/call", spec);
    for (const { id: _, ...event } of events)
      expect(PoolEventSchema.safeParse(event).error?.issues ?? [], JSON.stringify(event)).toEqual(
        [],
      );
  }
});
