/** The commands that ask a pool: call, place, ps, logs, stop, stdin, signal, members, drain. */
import { createWriteStream, readFileSync } from "node:fs";
import { access, mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { inspect } from "node:util";
import { SignalSchema } from "../../openapi/resources.ts";
import type { ChildSpecInput } from "../../openapi/spec.ts";
import { isWorkspacePath } from "../../openapi/values.ts";
import { requireWhole } from "../../sdk/typescript/http/read-events.ts";
import {
  DistributedPool,
  outputBytes,
  PoolError,
  type PoolEvent,
  type Spec,
} from "../../sdk/typescript/index.ts";
import { checkArguments } from "../../sdk/typescript/values.ts";
import { DEFAULTS } from "../member/options.ts";
import { consulOf, type Parsed, UsageError } from "./options.ts";
import { ProgressBar } from "./progress-bar.ts";

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_URL = `http://127.0.0.1:${DEFAULTS.port}`;

/** Without `-f`, the output so far is over when nothing came for so long. */
const QUIET_MS = 500;

const NEWLINE = 10;

/** `--url`, `--consul`, DPOOL_URL, DPOOL_CONSUL, CONSUL_HTTP_ADDR, in this order of precedence; else the first member of `dpool dev`. */
function connect({ given, flagged }: Parsed, env: Environment): DistributedPool {
  if (flagged.has("url") && flagged.has("consul"))
    throw new UsageError("expected at most one of --url, --consul");
  const url = flagged.has("consul") ? undefined : given.url;
  const consul = url === undefined ? consulOf(given, env) : undefined;
  const read = (name: "ca" | "cert" | "key") => {
    const file = given[name];
    try {
      return file === undefined ? undefined : readFileSync(file, "utf8");
    } catch (error) {
      throw new UsageError(`--${name}: ${(error as Error).message}`);
    }
  };
  const who = { token: given.token, ca: read("ca"), cert: read("cert"), key: read("key") };
  try {
    return new DistributedPool({ ...(consul ? { consul } : { url: url ?? DEFAULT_URL }), ...who });
  } catch (error) {
    if (error instanceof PoolError && error.code === "invalid_request")
      throw new UsageError(error.message);
    throw error;
  }
}

async function using<T>(
  pools: DistributedPool,
  run: (pools: DistributedPool) => Promise<T>,
): Promise<T> {
  try {
    return await run(pools);
  } finally {
    await pools.close();
  }
}

function onePositional({ positionals }: Parsed, what: string): string {
  const [only, ...more] = positionals;
  if (only === undefined || more.length > 0)
    throw new UsageError(
      `expected one ${what}; got ${positionals.length === 0 ? "none" : positionals.join(" ")}`,
    );
  return only;
}

function pairs(
  given: readonly string[] | undefined,
  flag: string,
): Record<string, string> | undefined {
  return (
    given &&
    Object.fromEntries(
      given.map((pair) => {
        const equals = pair.indexOf("=");
        if (equals < 1)
          throw new UsageError(`${flag}: expected NAME=VALUE; got ${JSON.stringify(pair)}`);
        return [pair.slice(0, equals), pair.slice(equals + 1)];
      }),
    )
  );
}

/** A file of this machine, to be sent. */
async function local(flag: string, path: string): Promise<{ path: string }> {
  await access(path).catch((error: Error) => {
    throw new UsageError(`${flag}: ${error.message}`);
  });
  return { path };
}

/** What `--stdin` names. A call's is streamed, a placed child's has to be whole. */
async function inputOf(
  file: string,
  { streamed }: { streamed: boolean },
): Promise<Buffer | NodeJS.ReadStream | { path: string }> {
  if (file !== "-") return local("--stdin", file);
  if (streamed) return process.stdin;
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The child spec that the options, and the command behind `--`, make. */
async function specOf({ given, rest, command }: Parsed): Promise<Spec> {
  let base: ChildSpecInput = {};
  if (given.json !== undefined) {
    try {
      base = JSON.parse(given.json) as ChildSpecInput;
    } catch (error) {
      throw new UsageError(`--json: expected a child spec as JSON: ${(error as Error).message}`);
    }
  }
  if (rest !== undefined) base.command = [...rest];
  if (given.task !== undefined)
    base.task = { ...base.task, name: given.task, ...(given.args && { args: given.args }) };
  else if (given.args) throw new UsageError("--args: expected --task beside it");
  if (
    rest?.length === 0 ||
    (rest === undefined && given.task === undefined && given.json === undefined)
  )
    throw new UsageError("expected a command behind --, --task NAME or --json SPEC");
  const env = pairs(given.env, "--env");
  const labels = pairs(given.label, "--label");
  const files: [string, { path: string }][] = [];
  for (const file of given.file ?? [])
    files.push([
      file.split("=", 1)[0] ?? "",
      await local("--file", file.slice(file.indexOf("=") + 1)),
    ]);
  const stdin =
    given.stdin === undefined
      ? undefined
      : await inputOf(given.stdin, { streamed: command === "call" });
  return {
    ...base,
    ...(env ? { env: { ...base.env, ...env } } : {}),
    ...(labels ? { labels: { ...base.labels, ...labels } } : {}),
    ...(files.length > 0 ? { files: { ...base.files, ...Object.fromEntries(files) } } : {}),
    ...(given.artifact ? { artifacts: [...(base.artifacts ?? []), ...given.artifact] } : {}),
    ...(stdin ? { stdin } : {}),
    ...(given["wait-ms"] === undefined ? {} : { waitMs: given["wait-ms"] }),
    ...(given["deadline-ms"] === undefined ? {} : { deadlineMs: given["deadline-ms"] }),
    ...(given.link ? { link: true } : {}),
  } as Spec;
}

function write(stream: NodeJS.WriteStream, bytes: Buffer | string): Promise<void> {
  return new Promise((resolve) =>
    stream.write(bytes) ? resolve() : stream.once("drain", resolve),
  );
}

/** A value as JSON; what only devalue carries, as Node shows it. */
function shown(value: unknown): string {
  try {
    checkArguments([value ?? null]);
    return JSON.stringify(value ?? null);
  } catch {
    return inspect(value, { depth: null });
  }
}

/** Prints an event. Answers the exit code of the child once it has ended. */
async function print(event: PoolEvent): Promise<number | undefined> {
  switch (event.type) {
    case "queued":
      // For a person who waits; a script's stderr is the child's.
      if (process.stderr.isTTY)
        await write(process.stderr, `dpool: waiting for a slot, position ${event.position}\n`);
      return undefined;
    case "stdout":
      await write(process.stdout, outputBytes(event));
      return undefined;
    case "stderr":
      await write(process.stderr, outputBytes(event));
      return undefined;
    case "gap":
      await write(
        process.stderr,
        `dpool: ${event.droppedBytes} bytes of output are no longer kept\n`,
      );
      return undefined;
    case "result":
      if (event.exitCode === undefined) await write(process.stdout, `${shown(event.value)}\n`);
      return event.exitCode ?? 0;
    case "failed":
      await write(
        process.stderr,
        `dpool: ${event.problem.code}: ${event.problem.detail}\n${event.problem.error?.stack ? `${event.problem.error.stack}\n` : ""}`,
      );
      return event.exitCode ?? 125;
    default:
      return undefined;
  }
}

/** @param atEnd is told the child's last event. */
async function printAll(
  events: AsyncIterable<PoolEvent>,
  atEnd?: (event: PoolEvent, childId: string) => Promise<void>,
): Promise<number> {
  const bar = new ProgressBar(process.stderr);
  let childId = "";
  try {
    for await (const event of events) {
      if (event.type === "placed") childId = event.child.id;
      if (event.type === "progress") {
        bar.show(event);
        continue;
      }
      bar.clear();
      const exitCode = await print(event);
      if (exitCode !== undefined) {
        await atEnd?.(event, childId);
        return exitCode;
      }
      const written =
        event.type === "stderr" || (event.type === "stdout" && process.stdout.isTTY)
          ? outputBytes(event).at(-1)
          : undefined;
      bar.restore(written === undefined ? undefined : written === NEWLINE);
    }
  } finally {
    bar.clear();
  }
  throw PoolError.of("member_lost", "the stream ended before its terminal event");
}

export async function call(parsed: Parsed, env: Environment): Promise<number> {
  const pool = onePositional(parsed, "pool");
  const spec = await specOf(parsed);
  const { out } = parsed.given;
  return using(connect(parsed, env), (pools) =>
    printAll(
      requireWhole(pools.stream(pool, { outputEncoding: "base64", ...spec } as Spec)),
      async (event, id) => {
        if (out !== undefined && (event.type === "result" || event.type === "failed"))
          await take(pools, id, event.artifacts ?? [], out);
      },
    ),
  );
}

/** Takes the artifacts of a child into a folder. Their paths are a stranger's word. */
async function take(
  pools: DistributedPool,
  id: string,
  artifacts: readonly { readonly path: string }[],
  folder: string,
): Promise<void> {
  for (const { path } of artifacts) {
    if (!isWorkspacePath(path))
      throw PoolError.of(
        "invalid_request",
        `expected an artifact's path to stay in the folder; got ${JSON.stringify(path)}`,
      );
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await pipeline(await pools.child(id).file(path), createWriteStream(file));
  }
}

export async function place(parsed: Parsed, env: Environment): Promise<number> {
  const pool = onePositional(parsed, "pool");
  const spec = await specOf(parsed);
  const child = await using(connect(parsed, env), (pools) =>
    pools.placeChild(pool, { outputEncoding: "base64", ...spec } as Spec),
  );
  await write(process.stdout, `${child.id}\n`);
  return 0;
}

export async function logs(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  return using(connect(parsed, env), async (pools) => {
    if (parsed.given.follow) return printAll(pools.child(id).events());
    const quiet = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    try {
      // `placed` comes at once, so the quiet is always measured from an event.
      for await (const event of pools.child(id).events({ signal: quiet.signal })) {
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
  });
}

export async function stop(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  return using(connect(parsed, env), async (pools) => {
    const child = pools.child(id);
    await child.stop({ graceMs: parsed.given["grace-ms"] });
    // `cancelled` is what was asked for; any other ending came first, and is as good.
    await child.exit.catch((error: unknown) => {
      if (error instanceof PoolError && error.code === "member_lost") throw error;
    });
    return 0;
  });
}

export async function stdin(parsed: Parsed, env: Environment): Promise<number> {
  const id = onePositional(parsed, "child id");
  await using(connect(parsed, env), (pools) =>
    pools.child(id).write(process.stdin, { end: parsed.given.end ?? false }),
  );
  return 0;
}

export async function signal(parsed: Parsed, env: Environment): Promise<number> {
  const [id, name, ...more] = parsed.positionals;
  if (id === undefined || name === undefined || more.length > 0)
    throw new UsageError(
      `expected a child id and a signal; got ${parsed.positionals.join(" ") || "none"}`,
    );
  const given = SignalSchema.safeParse({ signal: name });
  if (!given.success) throw new UsageError(`${given.error.issues[0]?.message}; got ${name}`);
  await using(connect(parsed, env), (pools) => pools.child(id).signal(given.data.signal));
  return 0;
}

export async function drain(parsed: Parsed, env: Environment): Promise<number> {
  if (parsed.positionals.length > 0)
    throw new UsageError(`expected options only; got ${parsed.positionals.join(" ")}`);
  // One member, also where the environment names a Consul.
  const url = parsed.given.url ?? DEFAULT_URL;
  return using(connect({ ...parsed, given: { ...parsed.given, url } }, env), async (pools) => {
    const { member, pools: loads } = await pools.drain();
    const running = Object.values(loads).reduce((sum, { active }) => sum + active, 0);
    await write(process.stdout, `${member} drains; ${running} children run\n`);
    return 0;
  });
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): Promise<void> {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0)));
  return write(
    process.stdout,
    all
      .map(
        (row) =>
          `${row
            .map((cell, column) => cell.padEnd(widths[column] ?? 0))
            .join("  ")
            .trimEnd()}\n`,
      )
      .join(""),
  );
}

async function poolNames({ positionals }: Parsed, pools: DistributedPool): Promise<string[]> {
  if (positionals.length > 1)
    throw new UsageError(`expected at most one pool; got ${positionals.join(" ")}`);
  return positionals.length === 1
    ? [...positionals]
    : (await pools.pools()).pools.map(({ pool }) => pool);
}

/** Labels to look for: `NAME=VALUE`, or `NAME` for any value. */
function labelsOf(given: readonly string[] = []): Record<string, string | true> {
  return Object.fromEntries(
    given.map((label) =>
      label.includes("=")
        ? [label.slice(0, label.indexOf("=")), label.slice(label.indexOf("=") + 1)]
        : [label, true],
    ),
  );
}

export async function ps(parsed: Parsed, env: Environment): Promise<number> {
  const { status } = parsed.given;
  return using(connect(parsed, env), async (pools) => {
    const rows: string[][] = [];
    for (const pool of await poolNames(parsed, pools)) {
      const { children, unreachable } = await pools.children(pool, {
        labels: labelsOf(parsed.given.label),
        ...(status ? { status } : {}),
      });
      for (const { id, status, kind, startedAt, endedAt, exitCode, code, labels } of children) {
        rows.push([
          id,
          pool,
          status,
          kind,
          startedAt,
          endedAt ?? "",
          code ?? (exitCode !== null ? `exit ${exitCode}` : endedAt ? "returned" : ""),
          Object.entries(labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(","),
        ]);
      }
      if (unreachable.length > 0)
        await write(process.stderr, `dpool: no answer from ${unreachable.join(", ")}\n`);
    }
    await table(["ID", "POOL", "STATUS", "KIND", "STARTED", "ENDED", "HOW", "LABELS"], rows);
    return 0;
  });
}

export async function members(parsed: Parsed, env: Environment): Promise<number> {
  return using(connect(parsed, env), async (pools) => {
    const rows: string[][] = [];
    for (const pool of await poolNames(parsed, pools)) {
      for (const { member, url, load, sandbox, version } of (await pools.pool(pool)).members) {
        rows.push([
          member,
          pool,
          load ? `${load.active}/${load.max}` : "no answer",
          url,
          sandbox,
          version,
        ]);
      }
    }
    await table(["MEMBER", "POOL", "ACTIVE", "URL", "SANDBOX", "VERSION"], rows);
    return 0;
  });
}
