import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { stringify } from "yaml";
import { optionsOf } from "../../server/cli/command-options.ts";
import { ConfigFile, withFile } from "../../server/cli/config-file.ts";
import { type Parsed, parse } from "../../server/cli/parse.ts";
import { UsageError } from "../../server/cli/usage-error.ts";

const line = (text: string) => parse(text.split(" "), {}, optionsOf) as Parsed;
const problemsOf = (content: string, flags = "serve") =>
  new ConfigFile(line(flags), content, "f.yaml").problems;

describe("the configuration file", () => {
  test("gives the options that the command line leaves out", () => {
    const { values, pools } = withFile(
      line("serve --port 7500"),
      "port: 1\ngraceMs: 100\ninsecure: true\npools:\n  pipeline: {maxChildren: 2}\n",
      "f.yaml",
    );
    expect(values).toEqual({ port: 7500, graceMs: 100, insecure: true });
    expect(pools).toEqual({ pipeline: { maxChildren: 2 } });
  });

  test.each(["", "# nothing\n", "---\n", "null\n", "pools:\n"])("%j says nothing", (content) => {
    expect(withFile(line("dev"), content, "f.yaml")).toMatchObject({ values: {}, pools: {} });
  });

  test("keeps a name that looks like a number, and leaves out a switch that is off", () => {
    expect(
      withFile(line("serve"), "member: 007\ninsecure: false\nsandbox: off\n", "f.yaml").values,
    ).toEqual({ member: "007", sandbox: "off" });
  });

  test("anchors and aliases save writing", () => {
    const content = "pools:\n  a: &small {maxChildren: 1, limits: {cpus: 1}}\n  b: *small\n";
    expect(withFile(line("serve"), content, "f.yaml").pools).toEqual({
      a: { maxChildren: 1, limits: { cpus: 1 } },
      b: { maxChildren: 1, limits: { cpus: 1 } },
    });
  });

  test("adds runtimes to the built-in ones", () => {
    const content = "runtimes:\n  ruby: {command: [ruby, '{source}']}\n";
    expect(withFile(line("serve"), content, "f.yaml").runtimes).toEqual({
      ruby: { command: ["ruby", "{source}"] },
    });
    expect(withFile(line("serve"), "runtimes:\n", "f.yaml").runtimes).toEqual({});
  });

  test("a pool may leave its number of children to a flag", () => {
    const content = "pools:\n  pipeline:\n    limits: {cpus: 1}\n";
    expect(problemsOf(content, "serve --pool pipeline=2")).toEqual([]);
    expect(problemsOf(content)).toEqual([
      "f.yaml:2: pools.pipeline.maxChildren: expected a number; got none",
    ]);
  });
});

test("any options mean the same in the file as by flags", () => {
  const text = fc.stringMatching(/^[ -~]{1,20}$/).filter((value) => !value.startsWith("-"));
  const options = fc.record(
    {
      port: fc.integer({ min: 0, max: 65_535 }),
      host: text,
      member: text,
      advertise: text,
      sandbox: fc.constantFrom("auto", "no-cgroup", "off"),
      "token-file": text,
      "tls-cert": text,
      "jwks-url": text,
      insecure: fc.constant(true),
      "grace-ms": fc.integer({ min: 0, max: 86_400_000 }),
      "deadline-ms": fc.integer({ min: 1, max: 604_800_000 }),
      "max-body-bytes": fc.integer({ min: 1_024, max: 1_073_741_824 }),
      "max-rate": fc.integer({ min: 1, max: 1_000_000 }),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(options, (values) => {
      const flags = Object.entries(values).flatMap(([name, value]) =>
        value === true ? [`--${name}`] : [`--${name}`, String(value)],
      );
      const camelCase = (name: string) =>
        name.replace(/-./g, ([, letter = ""]: string) => letter.toUpperCase());
      const yaml = stringify(
        Object.fromEntries(Object.entries(values).map(([name, value]) => [camelCase(name), value])),
      );
      expect(withFile(line("serve"), yaml, "f.yaml").values).toEqual(
        (parse(["serve", ...flags], {}, optionsOf) as Parsed).values,
      );
    }),
  );
});

test("keeps runtimes as their author wrote them", () => {
  const yaml = 'runtimes: {ruby: {command: [ruby, "{source}"]}}';
  expect(withFile(line("serve"), yaml, "f.yaml").runtimes).toEqual({
    ruby: { command: ["ruby", "{source}"] },
  });
});

describe("mistakes in the file", () => {
  test.each<[content: string, ...problems: (string | RegExp)[]]>([
    ["prot: 1", 'f.yaml:1: prot: expected a key that is known; got "prot"; did you mean port?'],
    [
      "grace-ms: 1",
      'f.yaml:1: grace-ms: expected a key that is known; got "grace-ms"; did you mean graceMs?',
    ],
    [
      "somethingElse: 1",
      /^f\.yaml:1: somethingElse: expected one of pools, .*port, .*; got "somethingElse"$/,
    ],
    ["config: other.yaml", /got "config"/],
    ["toString: 1", /got "toString"/],
    ["port: lots", 'f.yaml:1: port: expected a whole number from 0 to 65535; got "lots"'],
    ["port: 0x10", 'f.yaml:1: port: expected a whole number from 0 to 65535; got "0x10"'],
    ["port: [1]", "f.yaml:1: port: expected a text or a number; got [1]"],
    ["port:", "f.yaml:1: port: expected a text or a number; got null"],
    ["member: true", "f.yaml:1: member: expected a text or a number; got true"],
    ["insecure: 3", "f.yaml:1: insecure: expected true or false; got 3"],
    ["sandbox: on", 'f.yaml:1: sandbox: expected auto or no-cgroup or off; got "on"'],
    ["- a", "f.yaml:1: expected options by name, such as port: 7400"],
    ["just words", "f.yaml:1: expected options by name, such as port: 7400"],
    [
      "\n\npools: 3",
      "f.yaml:3: pools: expected pools by name, such as pipeline: {maxChildren: 5}; got 3",
    ],
    ["pools:\n  a: b", 'f.yaml:2: pools.a: expected options by name; got "b"'],
    ["pools:\n  a:", "f.yaml:2: pools.a: expected options by name; got null"],
    ["pools:\n  a: 0", "f.yaml:2: pools.a.maxChildren: expected at least 1; got 0"],
    ["pools:\n  a: 10001", "f.yaml:2: pools.a.maxChildren: expected at most 10000; got 10001"],
    ["pools:\n  a: 1.5", "f.yaml:2: pools.a.maxChildren: expected a whole number; got 1.5"],
    ['pools:\n  "-": 1', /^f\.yaml:2: pools\.-: expected a pool name: 1 to 63 of .*; got "-"$/],
    [
      "pools:\n  a:\n    maxChildren: 1\n    limit: {}",
      'f.yaml:4: pools.a.limit: expected a key that is known; got "limit"; did you mean limits?',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    whatever: {}",
      /^f\.yaml:4: pools\.a\.whatever: expected one of maxChildren, .*limits, .*; got "whatever"$/,
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    limits:\n      cpus: 1\n      memmoryBytes: 1",
      "f.yaml:6: pools.a.limits.memmoryBytes: expected a key that is known; " +
        'got "memmoryBytes"; did you mean memoryBytes?',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    limits:\n      processes: 1",
      "f.yaml:5: pools.a.limits.processes: expected at least 32; got 1",
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    warm: -1",
      "f.yaml:4: pools.a.warm: expected how many processes wait, " +
        "up to 1000, or that by runtime; got -1",
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    reuse: often",
      'f.yaml:4: pools.a.reuse: expected true, false, or {maxUses, maxMemoryShare}; got "often"',
    ],
    ["runtimes: ruby", 'f.yaml:1: runtimes: expected values by name; got "ruby"'],
    [
      "runtimes:\n  ruby: {command: [ruby]}",
      "f.yaml:2: runtimes.ruby.command: expected {source}, the path of the source, " +
        'in an argument; got ["ruby"]',
    ],
    [
      "runtimes:\n  ruby: {comand: [ruby]}",
      "f.yaml:2: runtimes.ruby.command: expected a list; got none",
      "f.yaml:2: runtimes.ruby.comand: expected a key that is known; " +
        'got "comand"; did you mean command?',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    network: lan",
      "f.yaml:4: pools.a.network: expected none, host, or names and ports such as " +
        '{allow: ["files.example:443"]}; got "lan"',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    network:\n      allow:\n        - a.example",
      "f.yaml:6: pools.a.network.allow.0: expected a name and a port, such as " +
        'files.example:443, *.files.example:443 or [2001:db8::1]:443; got "a.example"',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    root: here",
      'f.yaml:4: pools.a.root: expected an absolute path; got "here"',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    devices:\n      - /dev/null\n      - /etc",
      'f.yaml:6: pools.a.devices.1: expected a path below /dev/; got "/etc"',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    readOnly: [/srv, x]",
      /^f\.yaml:4: pools\.a\.readOnly\.1: expected HOSTPATH or HOSTPATH:PATH, .*, not .*; got "x"$/,
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    env:\n      a=b: y",
      "f.yaml:5: pools.a.env.a=b: expected a variable name, without = and NUL characters; " +
        'got "a=b"',
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    env:\n      X: 3",
      "f.yaml:5: pools.a.env.X: expected a text; got 3",
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    commands: []",
      "f.yaml:4: pools.a.commands: expected at least 1 entries; got []",
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    warm: many",
      /^f\.yaml:4: pools\.a\.warm: expected how many processes wait, .*; got "many"$/,
    ],
    [
      "pools:\n  a:\n    maxChildren: 1\n    reuse: 1",
      "f.yaml:4: pools.a.reuse: expected true, false, or {maxUses, maxMemoryShare}; got 1",
    ],
    ["runtimes: []", "f.yaml:1: runtimes: expected values by name; got []"],
    [
      "runtimes:\n  ruby:\n    comand: [ruby]",
      "f.yaml:2: runtimes.ruby.command: expected a list; got none",
      "f.yaml:3: runtimes.ruby.comand: expected a key that is known; " +
        'got "comand"; did you mean command?',
    ],
    [
      "runtimes:\n  ruby: {command: [ruby]}",
      /^f\.yaml:2: runtimes\.ruby\.command: expected \{source\}, .*; got \["ruby"\]$/,
    ],
    ["a: {", /^f\.yaml:1: expected YAML: /],
    ["port: 1\nport: 2", /^f\.yaml:2: expected YAML: Map keys must be unique$/],
    ["port: !secret 1", /^f\.yaml:1: expected YAML: Unresolved tag: !secret$/],
    ["port: 1\n---\nport: 2", /^f\.yaml:2: expected YAML: .*multiple documents/],
    ["port: *nowhere", /^f\.yaml:1: expected YAML: .*nowhere/],
    [
      "port: x\ngraceMs: y\npools:\n  a: 0\n  b: {maxChildren: 1, nework: host}\nprot: 1",
      /^f\.yaml:1: port: /,
      /^f\.yaml:2: graceMs: /,
      /^f\.yaml:4: pools\.a\.maxChildren: /,
      /^f\.yaml:5: pools\.b\.nework: .*did you mean network\?$/,
      /^f\.yaml:6: prot: /,
    ],
  ])("%j", (content, ...problems) => {
    const found = problemsOf(content);
    expect(found).toEqual(
      problems.map((problem) =>
        typeof problem === "string" ? problem : expect.stringMatching(problem),
      ),
    );
    expect(() => withFile(line("serve"), content, "f.yaml")).toThrow(
      new UsageError(found.join("\n")),
    );
  });

  test("an option of the other command is refused", () => {
    expect(problemsOf("members: 2", "dev")).toEqual([]);
    expect(problemsOf("members: 2")).toEqual([
      expect.stringMatching(/got "members", which only dev takes$/),
    ]);
    expect(problemsOf("host: 127.0.0.1", "dev")).toEqual([
      expect.stringMatching(/got "host", which only serve takes$/),
    ]);
  });

  test("beyond a hundred are only counted", () => {
    const problems = problemsOf(
      Array.from({ length: 150 }, (_, index) => `key${index}: 1`).join("\n"),
    );
    expect(problems).toHaveLength(101);
    expect(problems.at(-1)).toBe("f.yaml: and 50 more");
  });

  test.each([
    [
      "that multiply",
      [..."bcdefghi"].reduce(
        (text, name, index) =>
          `${text}\n${name}: &${name} [${`*${"abcdefghi"[index]},`.repeat(9)}]`,
        "a: &a [x,x,x,x,x,x,x,x,x]",
      ),
    ],
    ["that contain themselves", "pools: &a\n  b: *a\n"],
  ])("aliases %s are refused", (_, content) => {
    expect(problemsOf(content)).toEqual([expect.stringMatching(/^f\.yaml:1: expected YAML: /)]);
  });

  test.each([`port: ${"[".repeat(100_000)}`, `port: ${"[".repeat(50_000)}${"]".repeat(50_000)}`])(
    "lists without end are refused",
    (content) => {
      const problems = problemsOf(content);
      expect(problems).not.toEqual([]);
      for (const problem of problems)
        expect(problem).toMatch(/^f\.yaml:(\d+: expected YAML| and \d+ more)/);
    },
  );

  test("any file is taken, or refused with a line for each problem", () => {
    const words = fc.constantFrom(
      "pools",
      "port",
      "a",
      ":",
      " ",
      "\n",
      "\n  ",
      "- ",
      "{",
      "}",
      "[",
      "]",
      ",",
      "&x ",
      "*x",
      "!t ",
      "'",
      '"',
      "|",
      "1",
      "null",
      "#",
      "? ",
      "__proto__",
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
        for (const problem of problemsOf(parts.join("")))
          expect(problem).toMatch(/^f\.yaml:\d+: .*expected/s);
      }),
      { numRuns: 1_000 },
    );
  });
});
