import { describe, expect, test } from "vitest";
import { optionsOf } from "../../server/cli/command-options.ts";
import { COMMANDS, type Command } from "../../server/cli/command-table.ts";
import { help } from "../../server/cli/output/help.ts";
import { consulOf, type Parsed, parse } from "../../server/cli/parse.ts";
import { UsageError } from "../../server/cli/usage-error.ts";

function parsed(line: string, env: Record<string, string> = {}): Parsed {
  const result = parse(line.split(" "), env, optionsOf);
  if (!("command" in result)) throw new Error("expected a command; got a wish for help");
  return result;
}

describe("parse", () => {
  test("turns flags into values", () => {
    expect(
      parsed(
        "serve --pool pipeline=5 --pool video=2 --port 0 --sandbox off --grace-ms 250 --insecure",
      ).values,
    ).toEqual({
      pool: [
        ["pipeline", 5],
        ["video", 2],
      ],
      port: 0,
      sandbox: "off",
      graceMs: 250,
      insecure: true,
    });
  });

  test("a number in a gap of its range is refused by the rule that it breaks", () => {
    expect(() => parsed("serve --pool pipeline --fence-ms 5")).toThrow(
      "--fence-ms: expected 0 or at least 10000 milliseconds; got 5",
    );
  });

  test("a pool without a number has the default", () => {
    expect(parsed("dev --pool pipeline").values.pool).toEqual([["pipeline", 5]]);
  });

  test("variables are the flags in capitals behind DPOOL_", () => {
    const env = {
      DPOOL_POOL: "pipeline=5,video=2",
      DPOOL_PORT: "7500",
      DPOOL_GRACE_MS: "9",
      DPOOL_INSECURE: "1",
      DPOOL_MEMBERS: "7",
    };
    expect(parsed("serve", env).values).toEqual({
      pool: [
        ["pipeline", 5],
        ["video", 2],
      ],
      port: 7500,
      graceMs: 9,
      insecure: true,
    });
  });

  test("a variable turns a switch on by 1 and true only", () => {
    expect(parsed("serve", { DPOOL_INSECURE: "true" }).values.insecure).toBe(true);
    for (const value of ["0", "false", ""])
      expect(parsed("serve", { DPOOL_INSECURE: value }).values.insecure).toBeUndefined();
  });

  test("flags win over variables", () => {
    expect(
      parsed("serve --port 1 --pool a=1", { DPOOL_PORT: "2", DPOOL_POOL: "b=2" }).values,
    ).toEqual({ port: 1, pool: [["a", 1]] });
  });

  test("leaves the arguments behind -- alone", () => {
    const result = parsed("call pipeline --url http://h:1 -- sh -c --port -- x");
    expect(result.positionals).toEqual(["pipeline"]);
    expect(result.rest).toEqual(["sh", "-c", "--port", "--", "x"]);
    expect(parsed("ps pipeline").rest).toBeUndefined();
  });

  test("short flags", () => {
    expect(parsed("logs -f m1.00").values.follow).toBe(true);
  });

  test.each<[string, Record<string, string>, RegExp]>([
    ["fly", {}, /expected one of serve, dev, call.*; got "fly"/],
    ["serve --port many", {}, /--port: expected a whole number from 0 to 65535; got "many"/],
    ["serve --port 65536", {}, /--port: expected a whole number from 0 to 65535; got 65536/],
    ["serve --port 1.5", {}, /--port: expected a whole number/],
    ["serve", { DPOOL_PORT: "x" }, /DPOOL_PORT: expected a whole number from 0 to 65535; got "x"/],
    ["serve --pool =5", {}, /--pool: expected NAME=MAX, such as pipeline=5; got "=5"/],
    ["serve --pool a=1=2", {}, /--pool: expected NAME=MAX/],
    ["serve --pool a=0", {}, /--pool: expected a whole number from 1 to 10000; got "0"/],
    ["serve --sandbox maybe", {}, /--sandbox: expected auto or no-cgroup or off; got "maybe"/],
    ["serve --nonsense", {}, /--nonsense.*see dpool serve --help/],
    ["dev --advertise h:1", {}, /--advertise.*see dpool dev --help/],
    ["toString", {}, /expected one of/],
  ])("%s is refused", (line, env, message) => {
    expect(() => parse(line.split(" "), env, optionsOf)).toThrow(UsageError);
    expect(() => parse(line.split(" "), env, optionsOf)).toThrow(message);
  });

  test("several command lines ask for help", () => {
    for (const argv of [[], ["help"], ["--help"], ["-h"]])
      expect(parse(argv, {}, optionsOf)).toEqual({ help: undefined });
    for (const argv of [
      ["help", "serve"],
      ["serve", "--help"],
      ["serve", "-h"],
    ])
      expect(parse(argv, {}, optionsOf)).toEqual({ help: "serve" });
  });
});

describe("consulOf", () => {
  test("the flag wins over CONSUL_HTTP_ADDR; without both there is none", () => {
    expect(consulOf({}, {})).toBeUndefined();
    expect(consulOf({}, { CONSUL_HTTP_ADDR: "10.0.0.1:8500" })?.address).toContain("10.0.0.1:8500");
    expect(
      consulOf(
        { consul: "http://10.0.0.2:8500" },
        { CONSUL_HTTP_ADDR: "10.0.0.1:8500", CONSUL_HTTP_TOKEN: "t" },
      ),
    ).toMatchObject({
      address: expect.stringContaining("10.0.0.2:8500"),
      token: "t",
    });
  });
});

describe("help", () => {
  test("names every command", () => {
    for (const command of Object.keys(COMMANDS))
      expect(help(undefined, optionsOf)).toContain(`  ${command} `);
  });

  test.each(Object.keys(COMMANDS) as Command[])(
    "of %s names each of its options and variables",
    (command) => {
      const text = help(command, optionsOf);
      for (const key of optionsOf(command).keys()) {
        const words = key.replaceAll(/[A-Z]/g, " $&").toLowerCase().split(" ");
        expect(text).toContain(`--${words.join("-")}`);
        expect(text).toContain(`[DPOOL_${words.join("_").toUpperCase()}]`);
      }
      expect(text).toContain("--help");
    },
  );
});
