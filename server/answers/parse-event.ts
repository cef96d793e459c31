/** Parses the events of another member. A large value in one stays JSON. */
import type { PoolEvent } from "../../openapi/events.ts";
import { turns } from "../../sdk/typescript/time/turns.ts";
import { isValue, LargeJson, SMALL_BYTES, withRawValue } from "../http/bodies/large-json.ts";

const isHighSurrogate = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xd800;

export async function parseEvent(data: string): Promise<PoolEvent> {
  if (data.length <= SMALL_BYTES) return JSON.parse(data);
  const json = new LargeJson(isValue);
  const turn = turns();
  for (let from = 0, to = 0; from < data.length; from = to) {
    to = from + SMALL_BYTES;
    if (isHighSurrogate(data, to - 1)) to += 1;
    json.push(Buffer.from(data.slice(from, to)));
    await turn();
  }
  return withRawValue(json.parse()) as PoolEvent;
}
