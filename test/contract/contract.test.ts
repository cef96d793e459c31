/** The committed contract, its operations on a member, and the table of codes. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { buildDocument } from "../../openapi/document.ts";
import { forms } from "../../openapi/documents/forms.ts";
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
      {
        operationId: string;
        requestBody?: { content: Record<string, unknown> };
        responses: Record<string, { content?: Record<string, unknown> }>;
      }
    >
  >;
};
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

const read = (path: string) =>
  JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8"));
const FORMS = forms(buildDocument());

test.each([
  ["openapi.json", "3.1.0"],
  ["openapi.sdk.json", "3.1.0"],
  ["openapi.3.0.json", "3.0.3"],
  ["openapi.3.2.json", "3.2.0"],
] as const)("%s matches the routes, and has the version of the package", (name, openapi) => {
  const committed = read(`openapi/${name}`);
  expect(committed).toEqual(JSON.parse(JSON.stringify(FORMS[name])));
  expect(committed.openapi).toBe(openapi);
  expect(committed.info.version).toBe(read("package.json").version);
  const published = read("package.json").exports[`./${name}`];
  expect(published).toBe(`./openapi/${name}`);
});

test.each(["openapi.sdk.json", "openapi.3.0.json"])(
  "in %s, each operation of the contract takes one type and gives one type",
  (name) => {
    const { paths } = read(`openapi/${name}`) as typeof document;
    const found = Object.values(paths).flatMap((methods) => Object.values(methods));
    expect(found.map(({ operationId }) => operationId)).toEqual(
      operations.map(({ operation }) => operation.operationId),
    );
    for (const { operationId, requestBody, responses } of found) {
      expect(Object.keys(requestBody?.content ?? { none: 1 }), operationId).toHaveLength(1);
      const successes = Object.entries(responses).filter(([status]) => Number(status) < 400);
      expect(successes, operationId).toHaveLength(1);
      expect(Object.keys(successes[0]?.[1].content ?? {}).length, operationId).toBeLessThan(2);
    }
  },
);

test("the form of 3.0 has no construct of 3.1", () => {
  const { components } = FORMS["openapi.3.0.json"] as { components: unknown };
  const text = JSON.stringify(components);
  const keys = "examples|propertyNames|prefixItems|const|contentEncoding|contentSchema";
  expect(text).not.toMatch(new RegExp(`"(${keys})":`));
  expect(text).not.toMatch(/"type":(\[|"null")|"\$ref":"[^"]*",/);
});

test("the form of 3.2 says what each stream consists of", () => {
  const { paths } = FORMS["openapi.3.2.json"] as { paths: unknown };
  const streams = [...JSON.stringify(paths).matchAll(/"text\/event-stream":\{"(\w+)"/g)];
  expect(streams.length).toBeGreaterThan(2);
  for (const [, key] of streams) expect(key).toBe("itemSchema");
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

test.each(Object.keys(FORMS))("a member serves %s", async (name) => {
  const { url } = await startOne();
  expect(await getJson(`${url}/${name}`)).toEqual(read(`openapi/${name}`));
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
