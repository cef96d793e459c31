/** Starts the first process of a tree, by the spawner or by the server itself. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Duplex, Writable } from "node:stream";
import { type Chain, chainArguments } from "./chain-arguments.ts";
import type { ChildLimits } from "./confinement.ts";
import { type Stdio, withoutInherited } from "./inherited-descriptors.ts";
import type { Spawner } from "./spawner.ts";
import type { Tree } from "./tree.ts";

/** The start of a tree. */
export interface TreeOptions {
  /** The command line that the chain runs. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The rights that the tree does without; undefined for none. */
  readonly chain?: readonly [Chain, ChildLimits] | undefined;
  /** Starts the tree where it can. Default: the server forks it. */
  readonly spawner?: Spawner | undefined;
  /** Data that the tree reads when it starts, by descriptor. */
  readonly inputs?: ReadonlyMap<number, Buffer> | undefined;
  /** The tree's descriptors. */
  readonly stdio: Stdio;
}

/** @throws the error of a tree that cannot be started. */
export async function startTree(options: TreeOptions): Promise<Tree> {
  const { spawner, chain, stdio } = options;
  const tree =
    spawner && chain && !stdio.includes("ipc") && (await spawner.isReady)
      ? await spawner.start({ ...options, chain })
      : await forkTree(options);
  for (const socket of tree.sockets.values()) socket.on("error", () => {});
  return tree;
}

async function forkTree({ argv, env, chain, inputs, stdio }: TreeOptions): Promise<Tree> {
  const [file = "", ...args] = [...(chain ? chainArguments(...chain) : []), ...argv];
  const child = spawn(file, args, {
    env,
    cwd: "/",
    // A process group of its own: the server can end the whole group, and a terminal's Ctrl-C
    // reaches only the server.
    detached: true,
    stdio: withoutInherited(stdio),
  });
  // A child that could not be started, for lack of descriptors, has no streams.
  await once(child, "spawn");
  const sockets = new Map<number, Duplex>();
  for (const [fd, stream] of child.stdio.entries()) if (stream) sockets.set(fd, stream as Duplex);
  for (const [fd, data] of inputs ?? []) (sockets.get(fd) as Writable).end(data);
  return {
    // A process that has been spawned has an id.
    pid: child.pid as number,
    sockets,
    ended: new Promise((resolve) =>
      child.once("exit", (code, signal) => resolve({ code, signal })),
    ),
    sender: child,
  };
}
