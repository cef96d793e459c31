/** The commands about one child: logs, stop, stdin, signal. */
import { SIGNALS } from "../../../openapi/names.ts";
import { type DistributedPool, PoolError } from "../../../sdk/typescript/node.ts";
import { ownStdin } from "../calls/spec.ts";
import { childNamed, childOf } from "../child-id.ts";
import { printEvent, printEventJson, printEvents } from "../output/print-events.ts";
import { argumentsOf, isJson, type Parsed } from "../parse.ts";
import { UsageError } from "../usage-error.ts";

/** 500 ms without an event end `logs` without `-f`: the reader has seen the output so far. */
const QUIET_MS = 500;

export async function logs(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const child = await childOf(pools, parsed);
  const json = isJson(parsed);
  if (parsed.values.follow) return printEvents(child.events(), { json });
  const print = json ? printEventJson : printEvent;
  const quiet = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  try {
    // `placed` comes at once, so the time without an event always begins at one.
    for await (const event of child.events({ signal: quiet.signal })) {
      clearTimeout(timer);
      await print(event);
      timer = setTimeout(() => quiet.abort(), QUIET_MS);
    }
  } catch (error) {
    if (!quiet.signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
  return 0;
}

export async function stop(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const child = await childOf(pools, parsed);
  await child.stop({ graceMs: parsed.values.graceMs });
  // The child has ended, by `cancelled` or by an earlier cause, unless its member is lost.
  await child.exit.catch((error: unknown) => {
    if (error instanceof PoolError && error.code === "member_lost") throw error;
  });
  return 0;
}

export async function stdin(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const { end = false } = parsed.values;
  const child = await childOf(pools, parsed);
  await child.write(ownStdin(), { end });
  return 0;
}

export async function signal(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const [id, name] = argumentsOf(parsed, "a child id", "a signal");
  const wanted = name.toUpperCase();
  const signal = SIGNALS.find((each) => each === wanted || each === `SIG${wanted}`);
  if (!signal) throw new UsageError(`expected one of ${SIGNALS.join(", ")}; got ${name}`);
  const child = await childNamed(pools, id);
  await child.signal(signal);
  return 0;
}
