/**
 * The documented schemas and those of the server: both accept the same requests. The document also
 * describes every part of itself.
 */

import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildDocument } from "../../openapi/document.ts";
import { isNode, type Node } from "../../openapi/documents/walk.ts";
import { SIGNALS } from "../../openapi/names.ts";
import { SignalRequestSchema, SlotRequestSchema } from "../../openapi/schemas/resources.ts";
import { ChildSpecSchema, MemberChildSpecSchema } from "../../openapi/schemas/spec.ts";

const document = buildDocument() as unknown as Node;
const schemas = (document.components as Node).schemas as Readonly<Record<string, Node>>;
const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(document, "contract");

function documented(name: string): ValidateFunction {
  return ajv.compile({ $ref: `contract#/components/schemas/${name}` });
}

describe("the server and the document accept the same", () => {
  const name = fc.oneof(
    fc.constantFrom("a", "pipeline", "m-1_x", "A".repeat(63), "A".repeat(64), "", "-a", "a b"),
    fc.string(),
  );
  const text = fc.oneof(
    fc.string({ unit: "grapheme" }),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.constantFrom("", "-c", "a\0b", "\n", "__proto__"),
  );
  const variable = fc.constantFrom("A", "_a1", "1A", "A=B", "", "é", "A\n", "__proto__");
  const path = fc.oneof(
    fc
      .array(fc.constantFrom("a", ".", "..", "...", "..a", ".a", "", "a\0", "é", "\n", " "), {
        maxLength: 4,
      })
      .map((names) => names.join("/")),
    text,
  );
  const base64 = fc.constantFrom("", "YQ==", "YWI=", "YWJj", "***", "YQ", "YQ=", "====", "YWJj\n");
  const url = fc.constantFrom(
    "http://a/b",
    "https://a.example:8/?q=1#f",
    "HTTP://a",
    "ftp://a/b",
    "http:/a",
    "http://",
    "https://é/",
    "http://a b/",
    "a",
  );
  const number = fc.oneof(
    fc.integer({ min: -2, max: 40_000 }),
    fc.constantFrom(0.5, 16_777_216, 604_800_000, 604_800_001, 2 ** 53 - 1, 2 ** 53, 1e300),
  );
  const odd = fc.constantFrom(null, true, 7, "text", [], {}, [1], { a: 1 });
  const data = [
    text,
    fc.record({ text }),
    fc.record({ base64 }),
    fc.record({ text, base64 }, { requiredKeys: [] }),
  ];
  const optional = <T>(shape: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
    fc.record(shape, { requiredKeys: [] });
  const label = fc.oneof(
    text,
    fc.constantFrom("😀".repeat(63), "😀".repeat(64), "é".repeat(63), "a".repeat(64)),
  );
  const slot = fc.constantFrom(`m1.${"0".repeat(32)}`, "m1.0", "");
  const hash = fc.constantFrom(`sha256:${"0".repeat(64)}`, "sha256:0", "");
  const called = {
    args: fc.array(fc.jsonValue(), { maxLength: 2 }),
    encoding: fc.constantFrom("json", "devalue", "xml"),
  };
  const work = {
    command: fc.array(text, { maxLength: 3 }),
    function: optional({
      source: text,
      hash,
      export: fc.oneof(text, fc.constantFrom("default", "ñ", "a-b", "𝒜".repeat(255), "a b")),
      runtime: name,
      ...called,
    }),
    task: optional({ name, ...called }),
  };
  const fields = {
    env: fc.dictionary(variable, text, { maxKeys: 2 }),
    stdin: fc.oneof(
      ...data,
      optional({ open: fc.boolean(), once: fc.boolean() }),
      fc.constant({ open: 1 }),
    ),
    files: fc.dictionary(path, fc.oneof(...data, fc.record({ url })), { maxKeys: 2 }),
    artifacts: fc.array(path, { maxLength: 2 }),
    limits: optional({
      memoryBytes: number,
      processes: number,
      cpus: number,
      cpuMs: number,
      workspaceBytes: number,
      openFiles: number,
      outputBytes: number,
      artifactBytes: number,
    }),
    sandbox: fc.constantFrom("full", "no-cgroup", "none", "weak"),
    outputEncoding: fc.constantFrom("text", "base64", "hex"),
    waitMs: number,
    deadlineMs: number,
    link: fc.boolean(),
    labels: fc.dictionary(label, fc.oneof(label, fc.constant("😀".repeat(255))), { maxKeys: 2 }),
  };
  const good = fc.constantFrom<Record<string, unknown>>(
    { command: ["true"] },
    { function: { source: "() => 1" } },
    { task: { name: "t" } },
  );
  /** At most two of the properties, so that many values have no fault at all. */
  const some = (shape: Readonly<Record<string, fc.Arbitrary<unknown>>>) =>
    fc
      .subarray(Object.keys(shape), { maxLength: 2 })
      .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, shape[key] ?? odd]))));
  /** A kind of work with some fields, or one of another type, or one of an unknown name. */
  const spec = (needed: Readonly<Record<string, unknown>>, more: typeof fields | object = {}) =>
    fc
      .tuple(
        fc.oneof({ weight: 3, arbitrary: good }, some(work)),
        some({ ...fields, ...more }),
        fc.oneof(
          { weight: 4, arbitrary: fc.constant({}) },
          some(Object.fromEntries([...Object.keys(fields), "cmd"].map((key) => [key, odd]))),
        ),
      )
      .map((parts) => Object.assign({ ...needed }, ...parts) as unknown);

  test.each([
    ["ChildSpec", ChildSpecSchema, spec({})],
    ["MemberChildSpec", MemberChildSpecSchema, spec({ pool: "p" }, { pool: name, slot })],
    [
      "SlotRequest",
      SlotRequestSchema,
      optional({ pool: name, waitMs: number, sandbox: fields.sandbox }),
    ],
    ["SignalRequest", SignalRequestSchema, fc.record({ signal: fc.constantFrom(...SIGNALS, "") })],
  ] as const)("%s", (schema, parsed, values) => {
    const validate = documented(schema);
    let accepted = 0;
    fc.assert(
      fc.property(values as fc.Arbitrary<unknown>, (value) => {
        const result = parsed.safeParse(value);
        if (result.success) accepted++;
        expect(
          validate(value),
          JSON.stringify({ value, server: result.error?.issues, document: validate.errors }),
        ).toBe(result.success);
      }),
      { numRuns: 2_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  // The document cannot count bytes, add lengths up, measure nesting or tell a host.
  test.each([
    ["an argument in bytes", { command: ["echo", "ä".repeat(70_000)] }],
    ["all arguments together", { command: Array(20).fill("x".repeat(100_000)) }],
    ["arguments and variables", { command: Array(8_000).fill("x"), env: { A: "b" } }],
    ["a path in bytes", { command: ["true"], artifacts: ["ä".repeat(200)] }],
    [
      "the nesting of arguments",
      { task: { name: "t", args: [JSON.parse("[".repeat(1_001) + "]".repeat(1_001))] } },
    ],
    ["the host of a URL", { command: ["true"], files: { a: { url: "http://[1/" } } }],
  ])("except for the limit of %s", (_, value) => {
    expect(documented("ChildSpec")(value)).toBe(true);
    expect(ChildSpecSchema.safeParse(value).success).toBe(false);
  });

  test.each([
    ["1,001 files", { command: ["true"], files: manyKeys(1_001, "a") }],
    ["8,001 arguments", { command: Array(8_001).fill("x") }],
    ["101 patterns", { command: ["true"], artifacts: Array(101).fill("a") }],
    ["2,667 variables", { command: ["true"], env: manyKeys(2_667, "a") }],
    ["an argument of 131,072 letters", { command: ["x", "x".repeat(131_072)] }],
    ["a program that is an option", { command: ["--version"] }],
    ["a function of nothing", { function: {} }],
  ])("both refuse %s", (_, value) => {
    expect(documented("ChildSpec")(value)).toBe(false);
    expect(ChildSpecSchema.safeParse(value).success).toBe(false);
  });
});

function manyKeys(count: number, value: string): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, value]));
}

describe("the document describes itself", () => {
  test.each(Object.keys(schemas))("%s has a description and valid examples", (name) => {
    const { description, examples } = schemas[name] as Node;
    expect(description).toMatch(/^[A-Z1`].*\.$/s);
    // It says what the thing is, not what an absent one means in the place of its first use.
    expect(description).not.toMatch(/Default|absent/);
    expect(examples).toHaveLength(1);
    const validate = documented(name);
    for (const example of examples as unknown[])
      expect(validate(example), JSON.stringify(validate.errors)).toBe(true);
  });

  test("every property, item and variant has a description", () => {
    const bare: string[] = [];
    const visit = (schema: unknown, at: string) => {
      if (!isNode(schema)) return;
      const isNull = schema.type === "null";
      if (!schema.description && !schema.$ref && !isNull) bare.push(at);
      for (const [key, part] of Object.entries((schema.properties ?? {}) as Node))
        visit(part, `${at}.${key}`);
      visit(schema.items, `${at}[]`);
      visit(schema.additionalProperties, `${at}{}`);
      for (const [index, part] of ((schema.oneOf ?? []) as unknown[]).entries())
        visit(part, `${at}|${index}`);
    };
    for (const [name, schema] of Object.entries(schemas)) visit(schema, name);
    const search = (part: unknown, at: string): void => {
      if (Array.isArray(part)) part.forEach((each, index) => void search(each, `${at}/${index}`));
      if (!isNode(part)) return;
      // A parameter is described beside its schema.
      if (part.schema) visit({ description: part.description, ...(part.schema as Node) }, at);
      for (const [key, each] of Object.entries(part))
        if (key !== "schema" && key !== "examples") search(each, `${at}/${key}`);
    };
    search(document.paths, "");
    expect(bare).toEqual([]);
  });

  test("no schema has a name that a language reserves", () => {
    const reserved = /^(Array|Date|Enum|Error|Event|File|Function|Int|List|Map|Match|Module)$/;
    const more = /^(Number|Object|Option|Record|Result|Set|Signal|String|Task|Thread|Type|Value)$/;
    expect(Object.keys(schemas).filter((name) => reserved.test(name) || more.test(name))).toEqual(
      [],
    );
  });

  test("patterns keep to what regular expressions of all languages have", () => {
    const patterns = [...JSON.stringify(document).matchAll(/"pattern":("(?:[^"\\]|\\.)*")/g)].map(
      ([, pattern = ""]) => JSON.parse(pattern) as string,
    );
    expect(patterns.length).toBeGreaterThan(10);
    for (const pattern of patterns) {
      expect(pattern).not.toMatch(/\(\?[^:]|\\[pPuUkbBdDwWsS1-9]|\/[a-z]*$/);
      expect(() => new RegExp(pattern, "u")).not.toThrow();
    }
  });

  test("no schema has a construct at which generators stop", () => {
    const text = JSON.stringify({ paths: document.paths, schemas });
    expect(text).not.toMatch(
      /"allOf"|"anyOf"|"oneOf":\[\{"required"|"enum":\[(true|false)\]|"const"/,
    );
    expect(text).not.toMatch(/"type":"(integer|number)"(?![^{}]*"format")/);
  });
});
