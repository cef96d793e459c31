import { describe, expect, test } from "vitest";
import { z } from "zod";
import { CONFIG_SCHEMA as schema } from "../../.dev/json-schema.ts";
import { optionsTable, poolOptionsTable } from "../../.dev/options-page.ts";
import { configurationOf, optionsOf } from "../../server/cli/command-options.ts";
import { CLI_OPTIONS } from "../../server/cli/options/table.ts";
import { parseOption } from "../../server/cli/options/values.ts";
import { poolFaults, settingsOf } from "../../server/member/check-options.ts";
import { unknownKey } from "../../server/member/options/expectation.ts";
import type { MemberOption, Option } from "../../server/member/options/option.ts";
import { MEMBER_OPTIONS } from "../../server/member/options/table.ts";
import {
  DEFAULTS,
  fromKeys,
  keyOfPath,
  type MemberOptions,
  RELOADABLE,
} from "../../server/member/options.ts";
import { difference, merged } from "../../server/member/reload.ts";

const memberOptions = Object.entries<MemberOption>(MEMBER_OPTIONS);
const all: [string, Option][] = [...memberOptions, ...Object.entries<Option>(CLI_OPTIONS)];

describe("an entry of the tables", () => {
  test.each(all)("%s has a text of whole sentences, and a default that it accepts", (_, option) => {
    expect(option.doc).toMatch(/^[A-Z`].*\.$/);
    if (option.default !== undefined)
      expect(parseOption(option, String(option.default))).toBe(option.default);
  });

  test.each(memberOptions)(
    "%s leads to its option of a member, and back",
    (key, { path = key }) => {
      const value = {};
      const found = path
        .split(".")
        .reduce<unknown>(
          (at, name) => (at as Record<string, unknown>)[name],
          fromKeys({ [key]: value }),
        );
      expect(found).toBe(value);
      expect(keyOfPath(path)).toBe(key);
    },
  );
});

test("an option without a value leaves the member's option unset", () => {
  expect(fromKeys({ port: undefined, tlsCert: undefined })).toEqual({});
});

test("a member still takes the options that it ever took while it runs", () => {
  const promised = [
    "deadlineMs",
    "drainMs",
    "graceMs",
    "maxBodyBytes",
    "maxRate",
    "maxStreams",
    "maxUploadBytes",
    "rememberMs",
    "requestTimeoutMs",
  ];
  expect(RELOADABLE).toEqual(expect.arrayContaining(promised));
});

describe("a reload", () => {
  const settings = (pools: MemberOptions["pools"]) => settingsOf({ pools, port: 7400 });

  test("names a pool that comes or goes, also one called `constructor`", () => {
    const [one, two] = [settings({ a: 1 }), settings({ a: 1, constructor: 2 })];
    const changed = ["pools.constructor"];
    expect(difference(one, two)).toEqual({ changed, restart: [] });
    expect(difference(two, one)).toEqual({ changed, restart: [] });
  });

  test("compares with the defaults, and keeps what only a restart changes", () => {
    const current = settings({ a: 1 });
    const next = settingsOf({ pools: { a: { maxChildren: 1 } }, graceMs: 5, host: "::1" });
    expect(difference(current, next)).toEqual({ changed: ["graceMs"], restart: ["host"] });
    expect(merged(current, next)).toMatchObject({ graceMs: 5, host: DEFAULTS.host });
  });
});

test("the defaults are those of the table, and two that no flag has", () => {
  const { maxChildren, path, ...rest } = DEFAULTS;
  expect(maxChildren).toBe(5);
  expect(path).toContain("/usr/bin");
  for (const [key, option] of memberOptions)
    expect((rest as Record<string, unknown>)[key]).toBe(option.default);
});

describe("the JSON Schema of the file", () => {
  const check = (file: unknown) =>
    z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]).safeParse(file).success;

  test("has a description of every key that serve and dev take, and of no other", () => {
    const keys = [...configurationOf("serve").keys(), ...configurationOf("dev").keys()];
    expect(Object.keys(schema.properties ?? {}).toSorted()).toEqual(
      [...new Set([...keys, "pools", "runtimes"])].toSorted(),
    );
    for (const { description } of Object.values(schema.properties ?? {}))
      expect(description).toMatch(/\.$/);
  });

  test.each([
    [{}],
    [{ port: 7400, sandbox: "off", insecure: true, members: 3 }],
    [{ pools: { pipeline: 5, video: { maxChildren: 2, limits: { cpus: 1.5 }, warm: 1 } } }],
    // A flag may give the number of children.
    [{ pools: { pipeline: { warm: { node: 2 }, readOnly: ["/srv:/models"] } } }],
    [{ pools: { pipeline: { maxChildren: 1, network: { allow: ["files.example:443"] } } } }],
    [{ runtimes: { ruby: { command: ["ruby", "{source}"] } } }],
  ])("takes %j", (file) => {
    expect(check(file)).toBe(true);
  });

  test.each([
    [{ prot: 1 }],
    [{ port: 65_536 }],
    [{ graceMs: "soon" }],
    [{ sandbox: "on" }],
    [{ pools: { pipeline: 0 } }],
    [{ pools: { pipeline: { maxChildren: 1, limit: {} } } }],
    [{ pools: { pipeline: { maxChildren: 1, network: { allow: [] } } } }],
    [{ pools: { pipeline: { maxChildren: 1, network: ["files.example:443"] } } }],
    [{ pools: { pipeline: { maxChildren: 1, limits: { processes: 1 } } } }],
    [{ runtimes: { ruby: {} } }],
  ])("refuses %j", (file) => {
    expect(check(file)).toBe(false);
  });
});

describe("the tables of the page", () => {
  test("have a line for every option of serve and dev", () => {
    const lines = optionsTable().split("\n");
    for (const key of [...optionsOf("serve").keys(), ...optionsOf("dev").keys()]) {
      const words = key.replaceAll(/[A-Z]/g, " $&").toLowerCase().split(" ");
      const variable = `\`DPOOL_${words.join("_").toUpperCase()}\``;
      expect(lines).toContainEqual(
        expect.stringMatching(`^\\| \`--${words.join("-")}[ \`].*${variable}`),
      );
    }
  });

  test("have a line for every key that a pool takes", () => {
    const [fault] = poolFaults("pipeline", { maxChildren: 1, nothingLikeIt: 1 });
    const keys = /expected one of (.*); got/.exec(fault?.message ?? "")?.[1]?.split(", ") ?? [];
    expect(keys).toContain("maxChildren");
    for (const key of keys) expect(poolOptionsTable()).toMatch(new RegExp(`^\\| \`${key}\` `, "m"));
    expect(poolOptionsTable()).toContain("| `limits.memoryBytes` | 1073741824 (1 GiB) |");
  });

  test("have as many cells in each line", () => {
    for (const table of [optionsTable(), poolOptionsTable()]) {
      const cells = table
        .trimEnd()
        .split("\n")
        .map((line) => line.split(/(?<!\\)\|/).length);
      expect(new Set(cells).size).toBe(1);
    }
  });
});

describe("an unknown key", () => {
  const known = ["port", "host", "graceMs", "maxRate"];

  test.each([
    ["prot", "port"],
    ["grace-ms", "graceMs"],
    ["GRACEMS", "graceMs"],
    ["maxRates", "maxRate"],
    ["hst", "host"],
  ])("%s is taken for %s", (key, meant) => {
    expect(unknownKey(key, known)).toBe(
      `expected a key that is known; got "${key}"; did you mean ${meant}?`,
    );
  });

  test.each(["x", "toString", "somethingElse", "x".repeat(100_000)])("%s is like none", (key) => {
    expect(unknownKey(key, known)).toMatch(/^expected one of port, host, graceMs, maxRate; got "/);
  });
});
