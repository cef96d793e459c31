/** `dpool call`, `attach` and `place`: run a command, a function or a task in a pool. */
import { createWriteStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { requireWhole } from "../../../sdk/typescript/http/read-events.ts";
import {
  type Child,
  type DistributedPool,
  PoolError,
  type PoolEvent,
  type Spec,
} from "../../../sdk/typescript/node.ts";
import { childOf } from "../child-id.ts";
import { printEvents } from "../output/print-events.ts";
import { FAILED } from "../output/problem-text.ts";
import { write, writeJson } from "../output/write.ts";
import { isJson, type Parsed } from "../parse.ts";
import { Foreground } from "../terminal/foreground.ts";
import { UsageError } from "../usage-error.ts";
import { makeOutFolder } from "./out-folder.ts";
import { specOf, withTerminal } from "./spec.ts";

/** Loads what only a terminal needs. */
const loadTerminal = () => import("../terminal/session.ts");

export async function call(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  const spec = await specOf(parsed);
  const out = outOf(parsed, spec);
  const print = (events: AsyncIterable<PoolEvent>) =>
    printEvents(requireWhole(events), {
      json: isJson(parsed),
      atEnd: async (event, id) => {
        if (event.type === "result" || event.type === "failed")
          await saveAll(pools.child(id), event.artifacts, out);
      },
    });
  if (!parsed.values.tty) {
    const foreground = new Foreground(pools, { link: spec.link ?? false, parsed });
    const exitCode = await print(foreground.follow(pools.stream(pool, spec)));
    return foreground.exitCode ?? exitCode;
  }
  const { Session } = await loadTerminal();
  const session = new Session(pools, { ends: true, leftCode: FAILED });
  const { terminal, signal } = session;
  const typed = { ...withTerminal(spec, terminal), stdin: terminal.keys, link: true };
  return session.run(pools.stream(pool, typed, { signal }), print);
}

/** The terminal of a child that this command has placed, or that somebody else has. */
export async function attach(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const child = await childOf(pools, parsed);
  const { Session, typeInto } = await loadTerminal();
  const session = new Session(pools, { ends: false, leftCode: 0 });
  const { terminal, signal } = session;
  await child.resize(terminal.size);
  const typing = typeInto(child, session);
  const shown = session.run(child.events({ signal }), (events) => printEvents(events));
  return await Promise.race([shown, typing.then(() => shown)]);
}

/** The pool that the command line names. A command without `--` before it is a likely mistake. */
export function poolOf({ positionals, command }: Parsed): string {
  const [pool, ...others] = positionals;
  if (pool === undefined) throw new UsageError("expected one pool; got none");
  if (others.length === 0) return pool;
  const words = others.join(" ");
  throw new UsageError(
    `expected one pool, and -- before a command: dpool ${command} ${pool} -- ${words}; ` +
      `got ${pool} ${words}`,
  );
}

/** The folder for artifacts, made; undefined where the line names none. @throws {UsageError} */
export function outOf({ values: { out } }: Parsed, { artifacts }: Spec): string | undefined {
  if (out !== undefined && !artifacts?.length)
    throw new UsageError("--out: expected --artifact PATTERN beside it");
  if (out !== undefined) makeOutFolder(out);
  return out;
}

/** Saves the artifacts of a child into a folder, if there is one. */
export async function saveAll(
  child: Child,
  artifacts: readonly { readonly path: string }[] = [],
  folder?: string,
): Promise<void> {
  if (folder !== undefined) for (const { path } of artifacts) await save(child, path, folder);
}

/** Saves an artifact into a folder. The child chose the path, which could lead out of it. */
async function save(child: Child, path: string, folder: string): Promise<void> {
  const { isWorkspacePath } = await import("../../../openapi/paths.ts");
  if (!isWorkspacePath(path))
    throw PoolError.of(
      "invalid_request",
      `expected an artifact's path to stay in the folder; got ${JSON.stringify(path)}`,
    );
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await pipeline(await child.file(path), createWriteStream(file));
}

export async function place(pools: DistributedPool, parsed: Parsed): Promise<number> {
  const pool = poolOf(parsed);
  const spec = await specOf(parsed);
  const terminal = parsed.values.tty
    ? new (await import("../terminal/own-terminal.ts")).OwnTerminal()
    : undefined;
  const child = await pools.placeChild(pool, terminal ? withTerminal(spec, terminal) : spec);
  if (isJson(parsed)) await writeJson({ id: child.id });
  else await write(process.stdout, `${child.id}\n`);
  return 0;
}
