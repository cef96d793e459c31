/** Compares this machine's clock with others', by the header `Date` of their answers. */
import type { Client } from "../../../sdk/typescript/http/client.ts";
import { type Finding, failed, ok, skipped } from "./finding.ts";

/**
 * 5 seconds may lie between two clocks: the header has whole seconds, and an answer takes up to
 * {@link ANSWER_MS}. The times of JWTs and certificates are given in no finer steps.
 */
export const TOLERANCE_MS = 5_000;
/** 2 seconds for an answer. A slower one tells too little about the clock. */
const ANSWER_MS = 2_000;

/** How far another clock is ahead of this one. */
export interface Offset {
  /** The member, or Consul. */
  readonly of: string;
  /** Milliseconds; negative where the other clock is behind. */
  readonly ms: number;
}

/**
 * Asks for a URL, and compares the clocks.
 *
 * @param member as in the requests of {@link Client}.
 * @returns undefined where the answer has no date.
 * @throws the error of the client, without an answer.
 */
export async function offsetOf(
  client: Client,
  { url, of, member }: { readonly url: string; readonly of: string; readonly member?: string },
): Promise<Offset | undefined> {
  const sentAt = Date.now();
  const answer = await client.send(url, { member, timeoutMs: ANSWER_MS });
  const [date, now] = [Date.parse(answer.headers.get("date") ?? ""), Date.now()];
  answer.cancel();
  if (Number.isNaN(date)) return undefined;
  // The other clock was read between the request and the answer, and cut to a second.
  return { of, ms: date < sentAt - 1_000 ? date - sentAt : Math.max(0, date - now) };
}

/** The finding about this machine's clock, from its differences to others. */
export function clockFinding(offsets: readonly Offset[]): Finding {
  if (offsets.length === 0) return skipped("clock", "there is no other clock to compare with");
  const far = offsets.filter(({ ms }) => Math.abs(ms) > TOLERANCE_MS);
  const names = (some: readonly Offset[]) => some.map(({ of }) => of).join(", ");
  if (far.length === 0)
    return ok("clock", `at most ${TOLERANCE_MS / 1_000} s from that of ${names(offsets)}`);
  const shown = far
    .map(
      ({ of, ms }) =>
        `${Math.round(Math.abs(ms) / 1_000)} s ${ms > 0 ? "behind" : "ahead of"} ${of}`,
    )
    .join(", ");
  return failed("clock", `this machine's clock is ${shown}`, {
    cure: "set the clock of the machine that is wrong by NTP; with systemd, on that machine:",
    command: "timedatectl set-ntp true",
  });
}
