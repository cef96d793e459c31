/** Members of one test: in this process, from source, on free ports, stopped when the test ends. */
import { setImmediate as nextTurn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { onTestFinished } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import type { Count } from "../../openapi/schemas/resources.ts";
import { type NumberedEvent, readEvents } from "../../sdk/typescript/http/read-events.ts";
import {
  EmbeddedRegistry,
  type MemberOptions,
  type RunningMember,
  startMember,
} from "../../server/main.ts";
import { SANDBOX_OPTION } from "./sandbox.ts";
import { within as withinMs } from "./wait.ts";

const WAIT_MS = 20_000;

/** The promise's value; an error that names what was waited for when it takes too long. */
export function within<T>(label: string, promise: Promise<T>, ms = WAIT_MS): Promise<T> {
  return withinMs(label, ms, promise);
}

/** Asks again and again until the answer is true. */
export function until(
  label: string,
  ask: () => boolean | Promise<boolean>,
  ms = WAIT_MS,
): Promise<void> {
  let over = false;
  const asking = async () => {
    while (!over && !(await ask())) await nextTurn();
  };
  return within(label, asking(), ms).finally(() => {
    over = true;
  });
}

/** All items of an iteration. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

/** Bytes of the objects in this process that can still be reached. */
export async function heldBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collectGarbage = runInNewContext("gc") as () => void;
  // One collection finalises an object, and the next one frees it.
  for (let round = 0; round < 3; round++) {
    collectGarbage();
    await nextTurn();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export type Options = Partial<Omit<MemberOptions, "port">>;

/** Starts members that know each other, `m1` on, one for each of the options. */
export async function startMembers(...options: Options[]): Promise<RunningMember[]> {
  const registry = new EmbeddedRegistry();
  const members: RunningMember[] = [];
  onTestFinished(async () => {
    await within("the members' stop", Promise.all(members.map((member) => member.stop())));
  });
  for (const [index, given] of options.entries()) {
    const member = await startMember({
      pools: { pipeline: 2 },
      name: `m${index + 1}`,
      sandbox: SANDBOX_OPTION,
      drainMs: 0,
      registry,
      ...given,
      port: 0,
    });
    members.push(member);
    await within(`${member.name} to join`, member.joined);
  }
  return members;
}

/** Starts one member, `m1` unless named. */
export async function startOne(options: Options = {}): Promise<RunningMember> {
  return (await startMembers(options))[0] as RunningMember;
}

/** Posts a body: an object as JSON, a string or a stream as it is. */
export function post(
  url: string,
  path: string,
  body?: unknown,
  headers: Readonly<Record<string, string>> = {},
  signal?: AbortSignal,
): Promise<Response> {
  const raw = typeof body === "string" || body === undefined || body instanceof ReadableStream;
  return within(
    `the answer of POST ${path}`,
    fetch(`${url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: raw ? (body as string) : JSON.stringify(body) }),
      ...(body instanceof ReadableStream ? { duplex: "half" as const } : {}),
      ...(signal ? { signal } : {}),
    }),
  );
}

export async function getJson<T>(url: string): Promise<T> {
  return (await (await within(`the answer of GET ${url}`, fetch(url))).json()) as T;
}

/** All events of a stream that has been opened. */
export function eventsOf(
  response: Response,
  label = "the stream's terminal event",
): Promise<NumberedEvent[]> {
  return within(label, collect(streamOf(response)));
}

/** The events of a stream, one after the other. */
export function streamOf(response: Response): AsyncGenerator<NumberedEvent, void, undefined> {
  if (response.status !== 200 || !response.body)
    throw new Error(`expected a stream; got HTTP ${response.status}`);
  return readEvents(bodyOf(response));
}

/** The body. Node's fetch ends one that nobody has begun to read once its answer is collected. */
async function* bodyOf(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  yield* response.body as ReadableStream<Uint8Array>;
}

/** Calls and collects the events up to the terminal one. */
export async function callEvents(
  url: string,
  path: string,
  spec: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<NumberedEvent[]> {
  const accept = "text/event-stream;lines=long";
  const response = await post(url, path, spec, { accept, ...headers });
  if (response.status !== 200)
    throw new Error(`expected a stream; got HTTP ${response.status}: ${await response.text()}`);
  return eventsOf(response);
}

/** The output of a run of events, as text. */
export function textOf(
  events: readonly NumberedEvent[],
  type: "stdout" | "stderr" = "stdout",
): string {
  return events.map((event) => (event.type === type ? (event.text ?? "") : "")).join("");
}

/** The last event, which has to be the terminal one of this type. */
export function lastOf<T extends "result" | "failed">(
  events: readonly NumberedEvent[],
  type: T,
): Extract<NumberedEvent, { type: T }> {
  const last = events.at(-1);
  if (last?.type !== type)
    throw new Error(`expected ${type} at the end; got ${JSON.stringify(last)}`);
  return last as Extract<NumberedEvent, { type: T }>;
}

/** The problem of an answer. */
export async function problemOf(response: Response): Promise<Problem> {
  const type = response.headers.get("content-type");
  if (type !== "application/problem+json")
    throw new Error(
      `expected a problem; got HTTP ${response.status} ${type}: ${await response.text()}`,
    );
  return (await response.json()) as Problem;
}

/** Waits until no child holds a slot of the member. */
export function idle({ url, name }: Pick<RunningMember, "url" | "name">): Promise<void> {
  return until(`member ${name} to hold no slot`, async () => {
    const { pools } = await getJson<Count>(`${url}/children/count`);
    return Object.values(pools).every(({ active }) => active === 0);
  });
}
