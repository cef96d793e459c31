/** Runs one case by one driver. */
import { randomUUID } from "node:crypto";
import { eventually } from "../../../helpers/wait.ts";
import type { Case, Expected, ExpectedRequest } from "./cases.ts";
import type { Driver, Outcome } from "./driver.ts";
import { differenceOf, shown } from "./match.ts";
import { fits, type Recorded, ScriptedMember } from "./script.ts";
import { list, type Setting, unlist } from "./setting.ts";
import { filled, type Variables } from "./variables.ts";

/** 5 seconds for a client to close the connections that it no longer needs. */
const CLOSE_MS = 5_000;

export interface Place {
  readonly driver: Driver;
  readonly setting: Setting;
  /** The pool with one slot that no other driver uses. */
  readonly single: string;
}

/** Runs a case. @returns what is not as expected; undefined where all is. */
export async function runCase(given: Case, place: Place): Promise<string | undefined> {
  const { driver, setting, single } = place;
  const requests: Recorded[] = [];
  const name = `f${randomUUID().slice(0, 8)}`;
  const common: Variables = {
    consul: setting.consul.httpAddress,
    pool: given.members ? name : "pipeline",
    single,
    key: randomUUID(),
    ...(setting.tls && { ca: setting.tls.ca }),
  };
  const fakes: ScriptedMember[] = [];
  const listed: string[] = [];
  try {
    const scripts = given.members ?? (given.script ? { m1: given.script } : {});
    for (const [each, exchanges] of Object.entries(scripts)) {
      // Consul is shared with drivers that run at the same time.
      const full = given.members ? `${name}${each}` : each;
      const tls = given.tls ? setting.tls : undefined;
      const options = { name: full, exchanges, requests, variables: common, tls };
      const fake = await ScriptedMember.start(options);
      fakes.push(fake);
      if (!given.members) continue;
      listed.push(full);
      await list(setting, { name: full, url: fake.url, pool: name });
    }
    const real = { url: setting.members[0]?.url };
    const variables = { ...common, ...(fakes[0]?.variables ?? real) };
    const fault = await runSteps(given, driver, variables);
    return fault ?? (await faultIn(given.expect?.requests, requests, variables));
  } finally {
    await driver.ask("close");
    for (const each of listed) await unlist(setting, each);
    for (const fake of fakes) await fake.stop();
  }
}

async function runSteps(
  { open = { url: "<url>" }, steps, expect: last }: Case,
  driver: Driver,
  variables: Variables,
): Promise<string | undefined> {
  const saved: Record<string, unknown> = { ...variables };
  const opened = await driver.ask("open", filled(open, saved));
  for (const [index, { op, args = {}, as, expect }] of steps.entries()) {
    // Some SDKs check the options of a pool object only when it is used.
    const outcome = opened.error ? opened : await driver.ask(op, filled(args, saved));
    const isLast = index === steps.length - 1;
    const wanted = filled({ ...(isLast && last), ...expect }, saved) as Expected;
    const fault = differenceIn(wanted, outcome);
    if (fault !== undefined) return `${op}${isLast ? "" : ` (step ${index + 1})`}: ${fault}`;
    if (as !== undefined) saved[as] = outcome.value;
  }
  return undefined;
}

/** What an outcome has that was not expected. A step that expects nothing has to succeed. */
function differenceIn(expected: Expected, outcome: Outcome): string | undefined {
  const { code, error, anyOf, value, events, stdout } = expected;
  if (anyOf) {
    const faults = anyOf.map((each) => differenceIn(each, outcome));
    return faults.includes(undefined) ? undefined : faults.join("; or ");
  }
  if (code !== undefined || error !== undefined) {
    if (!outcome.error) return `expected ${shown(code ?? error)}; got ${shown(outcome.value)}`;
    const codes = code === undefined ? {} : { code: { $in: [code].flat() } };
    return differenceOf({ ...codes, ...error }, outcome.error, "error");
  }
  if (outcome.error) return `expected no error; got ${shown(outcome.error)}`;
  if (stdout !== undefined && textOf(outcome.value) !== stdout)
    return `stdout: expected ${shown(stdout)}; got ${shown(textOf(outcome.value))}`;
  return (
    (events === undefined ? undefined : differenceOf(events, outcome.value, "events")) ??
    (value === undefined ? undefined : differenceOf(value, outcome.value, "value"))
  );
}

/** The stdout of events, or of a result. */
function textOf(value: unknown): unknown {
  if (!Array.isArray(value)) return (value as { stdout?: unknown } | null)?.stdout;
  const events = value as { type: string; text?: string; base64?: string }[];
  const bytes = events
    .filter(({ type }) => type === "stdout")
    .map(({ text, base64 }) =>
      base64 === undefined ? Buffer.from(text ?? "") : Buffer.from(base64, "base64"),
    );
  return Buffer.concat(bytes).toString();
}

/** What the fakes got that was not expected. */
async function faultIn(
  expected: readonly (string | ExpectedRequest)[] | undefined,
  requests: readonly Recorded[],
  variables: Variables,
): Promise<string | undefined> {
  if (!expected) return undefined;
  const wanted = filled(expected, variables).map((each) =>
    typeof each === "string" ? { to: each } : each,
  );
  const waits = wanted.some(({ closed }) => closed === true);
  const look = () => differenceOfRequests(wanted, requests);
  if (!waits) return look();
  const closed = () => {
    const fault = look();
    if (fault !== undefined) throw new Error(fault);
  };
  return eventually("the requests", closed, CLOSE_MS).then(
    () => undefined,
    (error: Error) => error.message,
  );
}

function differenceOfRequests(
  wanted: readonly ExpectedRequest[],
  requests: readonly Recorded[],
): string | undefined {
  let from = 0;
  for (const { to, at, times: [min, max] = [1, 1], ...rest } of wanted) {
    // Requests to several fakes come in any order, so each of these is looked for among all.
    const rested = at === undefined ? requests.slice(from) : requests;
    const isOne = (each: Recorded) =>
      fits(to, each.to) &&
      (at === undefined || each.at.endsWith(at)) &&
      differenceOf(rest, each, "request") === undefined;
    const others = rested.findIndex((each) => !isOne(each));
    const inTurn = others < 0 ? rested.length : others;
    const count = at === undefined ? Math.min(inTurn, max) : rested.filter(isOne).length;
    if (count < min || count > max)
      return `request ${shown({ to, at, ...rest })}: got ${count} in ${shown(requests)}`;
    if (at === undefined) from += count;
  }
  if (wanted.every(({ at }) => at === undefined) && from < requests.length)
    return `expected no request ${shown(requests[from])}`;
  return undefined;
}
