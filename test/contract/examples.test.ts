/** Every example of the contract fits its schema, and a member answers it as the contract says. */
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { beforeEach, describe, expect, test } from "vitest";
import { buildDocument } from "../../openapi/document.ts";
import { frames, readEvents } from "../../sdk/typescript/http/read-events.ts";
import type { RunningMember } from "../../server/main.ts";
import { eventsOf, post, startOne, within } from "../helpers/member.ts";

interface Media {
  readonly schema?: object;
  readonly examples?: Readonly<Record<string, { readonly value: unknown }>>;
}
type Content = Readonly<Record<string, Media>>;
interface Parameter {
  readonly name: string;
  readonly in: "path" | "query" | "header";
  readonly required?: boolean;
  readonly schema: { readonly examples?: readonly unknown[] };
}
interface Operation {
  readonly operationId: string;
  readonly summary?: string;
  readonly description?: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}

const document = JSON.parse(JSON.stringify(buildDocument())) as {
  paths: Record<string, Record<string, Operation>>;
};
const OPERATIONS = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

const ajv = new Ajv2020({ strict: false, allErrors: true });
(formats as unknown as (ajv: Ajv2020) => void)(ajv);
ajv.addSchema(document, "contract");

/** Checks a value by the schema at this place of the document. */
function validator(...place: readonly string[]): ValidateFunction {
  const pointer = place.map((key) =>
    encodeURIComponent(key.replaceAll("~", "~0").replaceAll("/", "~1")),
  );
  return ajv.compile({ $ref: `contract#/${pointer.join("/")}` });
}

function expectValid(value: unknown, ...place: readonly string[]): void {
  const validate = validator(...place);
  validate(value);
  expect(validate.errors ?? [], `${place.join(" ")}: ${JSON.stringify(value)}`).toEqual([]);
}

const isText = (type: string) => type === "application/octet-stream";

describe.each(OPERATIONS)("$operation.operationId", ({ path, method, operation }) => {
  test("has a summary, a description that states its scope, and an example", () => {
    expect(operation.summary).toMatch(/^[A-Z]/);
    expect(operation.description).toMatch(/(Needs the scope `|Any token will do|Needs no token)/);
    expect(operation.security).toBeDefined();
    const answers = Object.values(operation.responses).flatMap(({ content = {} }) =>
      Object.values(content).flatMap(({ examples = {} }) => Object.values(examples)),
    );
    if (operation.operationId !== "releaseSlot") expect(answers.length).toBeGreaterThan(0);
    const { content } = operation.requestBody ?? {};
    const bodies = Object.values(content ?? {}).flatMap(({ examples = {} }) => [examples]);
    if (content) expect(bodies.some((examples) => Object.keys(examples).length > 0)).toBe(true);
  });

  test("has examples that fit their schemas", () => {
    const place = ["paths", path, method];
    const contents = [
      [[...place, "requestBody"], operation.requestBody?.content],
      ...Object.entries(operation.responses).map(
        ([status, { content }]) => [[...place, "responses", status], content] as const,
      ),
    ] as const;
    for (const [at, content = {}] of contents)
      for (const [type, { examples = {} }] of Object.entries(content))
        for (const { value } of Object.values(examples))
          if (isText(type)) expect(value).toBeTypeOf("string");
          else expectValid(value, ...at, "content", type, "schema");
  });
});

const tty = { rows: 24, columns: 80 };

/** Places a child that the examples of one child may be about, and gives its id. */
async function placed({ url }: RunningMember, more: object = {}): Promise<string> {
  const command = ["sh", "-c", "echo Linux; trap : USR1; echo film > film.txt; cat"];
  const spec = { command, artifacts: ["*.txt"], stdin: { open: true }, ...more };
  const { id } = (await (await post(url, "/pools/pipeline/children", spec)).json()) as {
    id: string;
  };
  return id;
}

describe("a member", () => {
  let member: RunningMember;
  beforeEach(async () => {
    member = await startOne({ pools: { pipeline: 20 } });
  });

  /** Asks for what an example of a request says. */
  async function ask(
    { path, method, operation }: (typeof OPERATIONS)[number],
    body: { readonly type: string; readonly value: unknown } | undefined,
    more: { readonly headers?: Record<string, string>; readonly id?: string },
  ): Promise<Response> {
    const url = new URL(path, member.url);
    for (const { name, in: place, required, schema } of operation.parameters ?? []) {
      const example = name === "id" ? more.id : name === "pool" ? "pipeline" : schema.examples?.[0];
      if (example === undefined && !required) continue;
      if (place === "path") url.pathname = url.pathname.replace(`%7B${name}%7D`, String(example));
      else if (place === "query")
        for (const value of [example].flat()) url.searchParams.append(name, String(value));
    }
    return within(
      `the answer of ${operation.operationId}`,
      fetch(url, {
        method: method.toUpperCase(),
        headers: { ...(body ? { "content-type": body.type } : {}), ...more.headers },
        ...(body
          ? { body: isText(body.type) ? String(body.value) : JSON.stringify(body.value) }
          : {}),
      }),
    );
  }

  async function expectDocumented(
    { path, method, operation }: (typeof OPERATIONS)[number],
    response: Response,
  ): Promise<void> {
    expect(response.status, await described(response)).toBeLessThan(300);
    const { content = {} } = operation.responses[response.status] ?? {};
    const type = response.headers.get("content-type")?.replace(/;.*/, "") ?? "";
    if (Object.keys(content).length > 0) expect(Object.keys(content)).toContain(type);
    const schema = ["responses", String(response.status), "content", type, "schema"];
    if (type === "application/json")
      expectValid(await response.json(), "paths", path, method, ...schema);
    else if (path === "/events" && response.body)
      for await (const { event, data } of frames(response.body)) {
        expectValid(JSON.parse(data), "paths", path, method, ...schema);
        if (event === "synced") break;
      }
    else if (type === "text/event-stream" && response.body)
      for await (const { id: _, ...event } of readEvents(response.body)) {
        expectValid(event, "paths", path, method, ...schema);
        if (path === "/slots") break;
      }
    else await response.arrayBuffer();
  }

  /** A request for slots, which a PATCH changes; or a slot, which a DELETE gives back. */
  async function slotFor(method: string): Promise<string> {
    const [wish, accept] =
      method === "patch"
        ? [{ count: 1, waitMs: 60_000 }, "text/event-stream"]
        : [{}, "application/json"];
    const answer = await post(member.url, "/slots", { pool: "pipeline", ...wish }, { accept });
    return answer.headers.get("location")?.replace("/slots/", "") ?? "";
  }

  const described = async (response: Response) =>
    response.ok ? "" : `${response.url}: ${await response.clone().text()}`;

  test.each(OPERATIONS)("answers the examples of $operation.operationId", async (operation) => {
    const requests = Object.entries(operation.operation.requestBody?.content ?? {}).flatMap(
      ([type, { examples = {} }]) =>
        Object.values(examples).map(({ value }) => ({ type, value: value as unknown })),
    );
    for (const body of requests.length > 0 ? requests : [undefined]) {
      const id = operation.path.startsWith("/slots/")
        ? await slotFor(operation.method)
        : await placed(member, operation.path.endsWith("/tty") ? { tty } : {});
      // These examples are of a child that has ended.
      if (/^(getChildFile|childEvents)$/.test(operation.operation.operationId)) {
        await post(member.url, `/children/${id}/stdin?end=true`, "");
        const events = await eventsOf(await fetch(`${member.url}/children/${id}/events`));
        expect(events.at(-1)).toMatchObject({
          type: "result",
          artifacts: [{ path: "film.txt" }],
        });
      }
      await expectDocumented(operation, await ask(operation, body, { id }));
    }
  });
});
