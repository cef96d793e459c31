/** The histories of all members, as one. */
import { REQUEST_HEADER } from "../../../openapi/names.ts";
import {
  BOUNDS_MS,
  type History,
  type PoolHistory,
  STEP_MS,
} from "../../../openapi/schemas/state/history.ts";
import type { Client } from "../../../sdk/typescript/http/client.ts";
import type { Members, RegisteredMember } from "../../../sdk/typescript/placement/members.ts";
import { type HistoryCounts, stepsSince } from "../../supervisor/feed/history.ts";

/** 2 seconds for the parts of all members. */
const TIMEOUT_MS = 2_000;
/** 256 members are asked at a time. */
const CONCURRENCY = 256;

interface HistoriesOptions {
  /** With the caller's token. */
  readonly client: Client;
  readonly members: Members;
  /** The name of this member. */
  readonly name: string;
  readonly counts: HistoryCounts;
}

interface Wish {
  readonly pools: readonly string[];
  /** Whether the caller named them. Otherwise a member is asked for all that the caller may see. */
  readonly areNamed: boolean;
  /** Only this member. Default: all members. */
  readonly member: string | undefined;
  /** Only steps that end after this time. Default: all steps. */
  readonly sinceMs: number | undefined;
}

/** The counts of these pools. Members that do not answer in time are `unreachable`. */
export async function historiesOf(
  { client, members, name, counts }: HistoriesOptions,
  { pools, areNamed, member, sinceMs }: Wish,
): Promise<History> {
  const steps = stepsSince(sinceMs);
  const [first = 0] = steps;
  const merged = new Map<string, PoolHistory>();
  const add = (pool: string, history: PoolHistory, shift: number) => {
    if (!pools.includes(pool)) return;
    merged.set(pool, sum(merged.get(pool) ?? emptyOf(steps.length), history, shift));
  };
  for (const pool of pools)
    add(pool, member === undefined || member === name ? counts.shown(pool, steps) : emptyOf(0), 0);
  const unreachable: string[] = [];
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const ask = async ({ name: each, pools: its }: RegisteredMember) => {
    try {
      const url = (await members.find(each))?.url;
      const named = areNamed ? pools.filter((pool) => Object.hasOwn(its, pool)) : [];
      const query = new URLSearchParams(named.map((pool) => ["pool", pool]));
      query.set("member", each);
      query.set("since", new Date(first * STEP_MS).toISOString());
      const answer = await client.json<History>(`${url}/history?${query}`, {
        member: each,
        signal,
        headers: { [REQUEST_HEADER]: "history" },
        key: "pools",
      });
      const shift = Math.round(Date.parse(answer.firstAt) / STEP_MS) - first;
      for (const [pool, history] of Object.entries(answer.pools)) add(pool, history, shift);
    } catch {
      unreachable.push(each);
    }
  };
  const asked = (await members.registered()).filter(
    (each) =>
      each.name !== name &&
      (member === undefined || each.name === member) &&
      pools.some((pool) => Object.hasOwn(each.pools, pool)),
  );
  const waiting = asked.values();
  const askInTurn = async () => {
    for (const each of waiting) await ask(each);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, askInTurn));
  return {
    stepMs: STEP_MS,
    firstAt: new Date(first * STEP_MS).toISOString(),
    boundsMs: [...BOUNDS_MS],
    pools: Object.fromEntries(merged),
    unreachable,
  };
}

const emptyOf = (length: number): PoolHistory => {
  const zeros = () => new Array<number>(length).fill(0);
  const none = () => Array.from({ length }, (): number[] => []);
  return {
    placed: zeros(),
    ended: zeros(),
    failed: {},
    refused: zeros(),
    queued: zeros(),
    waits: none(),
    runs: none(),
  };
};

const plus = (a: readonly number[], b: readonly number[], shift = 0) =>
  a.map((each, index) => each + (b[index - shift] ?? 0));

/** Two histories as one. @param shift the steps by which `other` begins later. */
function sum(one: PoolHistory, other: PoolHistory, shift: number): PoolHistory {
  const none = one.placed.map(() => 0);
  const codes = new Set([...Object.keys(one.failed), ...Object.keys(other.failed)]);
  const histograms = (a: number[][], b: number[][]) =>
    a.map((cells, index) => {
      const more = b[index - shift] ?? [];
      return cells.length === 0 ? more : plus(cells, more);
    });
  return {
    placed: plus(one.placed, other.placed, shift),
    ended: plus(one.ended, other.ended, shift),
    failed: Object.fromEntries(
      [...codes].map((code) => [
        code,
        plus(one.failed[code] ?? none, other.failed[code] ?? [], shift),
      ]),
    ),
    refused: plus(one.refused, other.refused, shift),
    queued: plus(one.queued, other.queued, shift),
    waits: histograms(one.waits, other.waits),
    runs: histograms(one.runs, other.runs),
  };
}
