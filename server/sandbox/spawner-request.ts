/** The requests that the spawner takes. Pure. */
import { type Chain, resourceLimits } from "./chain-arguments.ts";
import type { ChildLimits } from "./confinement.ts";
import { CALL_FD } from "./fds.ts";
import type { Stdio } from "./inherited-descriptors.ts";

/** The pipes that a child reads: its stdin, and the call for which it waits. It writes others. */
const READ: ReadonlySet<number> = new Set([0, CALL_FD]);

/** A child for the spawner. */
export interface SpawnRequest {
  /** The command line of the child. */
  readonly argv: readonly string[];
  /** The rights that the child does without. */
  readonly chain: readonly [Chain, ChildLimits];
  /** Data that the child reads when it starts, by descriptor. */
  readonly inputs?: ReadonlyMap<number, Buffer> | undefined;
  /** The child's descriptors. Numbers are pipes of the server. */
  readonly stdio: Stdio;
}

type Text = string | number | Buffer;

/** Texts, each with its length before it. */
function list(texts: readonly Text[]): Buffer {
  return Buffer.concat(
    texts.flatMap((text) => {
      const bytes = Buffer.isBuffer(text) ? text : Buffer.from(String(text));
      return [lengthOf(bytes), bytes];
    }),
  );
}

function lengthOf(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return length;
}

/** One request, as the spawner reads it. */
export function frame(verb: string, ...texts: readonly Text[]): Buffer {
  const body = list([verb, ...texts]);
  return Buffer.concat([lengthOf(body), body]);
}

/** The descriptors of a child that are sockets to the server. */
export function socketsOf({ stdio, inputs }: SpawnRequest): number[] {
  return [...stdio.keys()].filter((fd) => stdio[fd] === "pipe" && !inputs?.has(fd));
}

/** @param id by which the spawner names the child in its answers. */
export function startFrame(id: number, request: SpawnRequest): Buffer {
  const { argv, chain, inputs = new Map<number, Buffer>(), stdio } = request;
  const [{ joinFiles, uid = "", cores = [] }, limits] = chain;
  const pipes = [...stdio.entries()].flatMap(([fd, own]) =>
    typeof own === "number" ? [fd, READ.has(fd) ? 0 : 1, `/proc/${process.pid}/fd/${own}`] : [],
  );
  return frame(
    "start",
    id,
    uid,
    affinity(cores),
    list(resourceLimits(chain[0], limits).flatMap(({ number, value }) => [number, value])),
    list(joinFiles),
    list(pipes),
    list(socketsOf(request)),
    list([...inputs].flat()),
    list(argv),
  );
}

/** The set of processors as `sched_setaffinity` takes it; empty for all. */
function affinity(cores: readonly number[]): Buffer {
  if (cores.length === 0) return Buffer.alloc(0);
  const mask = Buffer.alloc(8 * (Math.floor(Math.max(...cores) / 64) + 1));
  // The kernel reads words of 64 bits, in little endian on both architectures.
  for (const core of cores) mask[core >> 3] = (mask[core >> 3] ?? 0) | (1 << (core & 7));
  return mask;
}
