/** Clients of two generators, one of TypeScript and one of Python, call a member. */
import { expect, test } from "vitest";
import { CHECKS } from "../../.dev/generators/generator.ts";
import { OTHERS } from "../../.dev/generators/others.ts";
import { missing, tried } from "../../.dev/generators/try.ts";
import { TYPESCRIPT } from "../../.dev/generators/typescript.ts";
import { startOne } from "../helpers/member.ts";

const TRY_MS = 120_000;
const NAMES = ["hey-api", "openapi-python-client"];
const GENERATORS = [...TYPESCRIPT, ...OTHERS].filter(({ name }) => NAMES.includes(name));

test.for(GENERATORS)(
  "a client of $title calls, places, is refused and reads a stream",
  { timeout: TRY_MS },
  async (generator, { skip }) => {
    const absent = missing(generator);
    skip(absent.length > 0, `not installed: ${absent.join(", ")}`);
    const { url } = await startOne({ pools: { pipeline: 5, single: 1 } });
    const failures: string[] = [];
    const cells = await tried(generator, { url, onFailure: (each) => failures.push(each) });
    const passed = Object.fromEntries(CHECKS.map((check) => [check, "✓"]));
    expect(cells, failures.join("\n")).toEqual(passed);
  },
);
