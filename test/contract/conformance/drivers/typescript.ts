/**
 * The driver of the TypeScript SDK, for Node, Bun and Deno. Its argument is the entry: `portable`
 * or `node`. The protocol is that of the README beside the cases.
 */
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import type {
  CallOptions,
  Child,
  DistributedPool,
  NumberedEvent,
  OutputStream,
  Spec,
} from "../../../../sdk/typescript/index.ts";

const isNode = process.argv[2] === "node";
const entry = isNode ? "@distributed-pool/sdk/node" : "@distributed-pool/sdk";
const sdk = (await import(entry)) as typeof import("../../../../sdk/typescript/index.ts");

const CAPABILITIES = [
  "function command stream run place map stdin files cancel token signal hash key members retries",
  "sdk",
  ...(isNode ? ["consul tls request-id"] : []),
].flatMap((words) => words.split(" "));

interface Args {
  readonly pool: string;
  readonly spec: Spec & Record<string, unknown>;
  readonly child: string;
  readonly limit?: number;
  readonly [name: string]: unknown;
}

let pools: DistributedPool | undefined;
const opened = () => {
  if (!pools) throw new Error("expected open before this operation");
  return pools;
};
const handle = ({ child }: Args): Child => opened().child(child);

/** A stream that keeps what is written. */
class Kept implements OutputStream {
  readonly #decoder = new TextDecoder();
  text = "";
  write(bytes: Uint8Array): boolean {
    this.text += this.#decoder.decode(bytes, { stream: true });
    return true;
  }
  on(): void {}
  off(): void {}
}

/** The events up to a number of them. `seen` is told of each. */
async function collect(
  events: AsyncIterable<NumberedEvent>,
  { limit = Number.POSITIVE_INFINITY }: Args,
  seen: () => void = () => {},
) {
  const list: NumberedEvent[] = [];
  for await (const event of events) {
    list.push(event);
    seen();
    if (list.length >= limit) break;
  }
  return list;
}

/** A way to cancel an operation: a signal, and the function that hears of each event. */
interface Cancel {
  readonly signal?: AbortSignal;
  readonly seen?: () => void;
}

const optionsOf = ({ retries }: Args, { signal }: Cancel): CallOptions => ({
  ...(retries !== undefined && { retries: retries as number }),
  ...(signal && { signal }),
});
const ending = ({ child, file: _, ...rest }: { child: Child; file: unknown }) => ({
  child: child.id,
  ...rest,
});

/** The spec as `run` and `call` tell a function from a command. */
const commandOf = (spec: Spec) => spec as Spec & { readonly command: readonly string[] };

const OPERATIONS: Record<string, (args: Args, cancel: Cancel) => unknown> = {
  capabilities: () => CAPABILITIES,
  async open({ ca, ...options }) {
    const identity = ca === undefined ? {} : { ca: readFileSync(ca as string, "utf8") };
    pools = new sdk.DistributedPool({ ...options, ...identity } as unknown as { url: string });
    return null;
  },
  async close() {
    await pools?.close();
    pools = undefined;
    return null;
  },
  async call(args, cancel) {
    const [stdout, stderr] = [new Kept(), new Kept()];
    const options = { ...optionsOf(args, cancel), stdout, stderr };
    const result = await opened().call(args.pool, commandOf(args.spec), options);
    const isValue = args.spec.command === undefined;
    const own = isValue ? { value: result as unknown } : ending(result);
    return { ...own, stdout: stdout.text, stderr: stderr.text };
  },
  run: async (args, cancel) =>
    ending(await opened().run(args.pool, commandOf(args.spec), optionsOf(args, cancel))),
  stream: (args, cancel) =>
    collect(opened().stream(args.pool, args.spec, optionsOf(args, cancel)), args, cancel.seen),
  async place(args, cancel) {
    const { id } = await opened().placeChild(args.pool, args.spec, optionsOf(args, cancel));
    return { child: id };
  },
  events: (args, cancel) =>
    collect(
      handle(args).events({
        ...(args.after !== undefined && { after: args.after as number }),
        ...(cancel.signal && { signal: cancel.signal }),
      }),
      args,
      cancel.seen,
    ),
  info: (args) => handle(args).info(),
  async result(args) {
    const found = await handle(args).result({ waitMs: args.waitMs as number | undefined });
    return found ? ending(found) : null;
  },
  stop: (args) => handle(args).stop({ graceMs: args.graceMs as number | undefined }),
  signal: (args) => handle(args).signal(args.signal as "SIGTERM"),
  stdin: (args) => handle(args).write(args.text as string, { end: args.end === true }),
  async file(args) {
    const pieces: Uint8Array[] = [];
    const stream = await handle(args).file(args.path as string);
    for await (const piece of stream as unknown as AsyncIterable<Uint8Array>) pieces.push(piece);
    return { base64: Buffer.concat(pieces).toString("base64") };
  },
  async map({ pool, spec, inputs, concurrency, ordered }, { signal }) {
    const values: unknown[] = [];
    const options = { concurrency, ordered, signal, stdout: null, stderr: null } as CallOptions;
    const results = opened().map(pool, spec as never, inputs as unknown[], options);
    for await (const value of results) values.push(value);
    return values;
  },
  async members({ pool }) {
    return (await opened().pool(pool)).members.map(({ member }) => member);
  },
  async cancel({ op, args, afterEvents, afterMs }) {
    const controller = new AbortController();
    let left = (afterEvents as number | undefined) ?? Number.POSITIVE_INFINITY;
    const seen = () => {
      if (--left === 0) controller.abort();
    };
    if (afterMs !== undefined) setTimeout(() => controller.abort(), afterMs as number);
    return OPERATIONS[op as string]?.(args as Args, { signal: controller.signal, seen });
  },
};

/** The error of the protocol for a thrown value. */
function errorOf(thrown: unknown): object {
  if (thrown instanceof sdk.PoolError) {
    const { code, admitted, status, message, retryAfter, problem } = thrown;
    const { error, child, stdout, stderr, exitCode } = problem;
    const { index } = thrown as { index?: number };
    const known = { code, detail: message, admitted, status, error, index, child: child?.id };
    return { ...known, retryAfterMs: retryAfter, stdout, stderr, exitCode };
  }
  const { name, stack } = thrown as Error;
  if (name === "AbortError") return { code: "cancelled", detail: name };
  return { code: "crash", detail: stack ?? String(thrown) };
}

for await (const line of createInterface({ input: process.stdin })) {
  const { id, op, args } = JSON.parse(line) as { id: number; op: string; args: Args };
  let outcome: object;
  try {
    const operation = OPERATIONS[op];
    outcome = operation
      ? { value: (await operation(args, {})) ?? null }
      : { error: { code: "unsupported" } };
  } catch (thrown) {
    outcome = { error: errorOf(thrown) };
  }
  process.stdout.write(`${JSON.stringify({ id, ...outcome })}\n`);
}
