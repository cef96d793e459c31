/** One pool's children on this member, never more than `maxChildren`. */
import { randomBytes } from "node:crypto";
import type { Load } from "../../openapi/errors.ts";
import { type ChildInfo, type ChildSpec, isAtLeast } from "../../openapi/schemas.ts";
import { messageOf, PoolError } from "../../sdk/typescript/errors.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import { type Confinement, tightened } from "../sandbox/confinement.ts";
import { bytesOf } from "../sandbox/files.ts";
import { packed } from "../sandbox/packing.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { Child, type StopCause } from "./child.ts";

export interface SupervisorOptions {
  readonly pool: string;
  readonly member: string;
  /** This member's own URL, without a final slash. */
  readonly url: string;
  readonly maxChildren: number;
  readonly sandbox: Sandbox;
  /** The pool's limits and grants; a caller can tighten the limits. */
  readonly confinement: Confinement;
  /** The longest deadline that a caller may ask for, in milliseconds; undefined for any. */
  readonly maxDeadlineMs?: number | undefined;
  /** The deadline of a call that names none, in milliseconds. */
  readonly defaultDeadlineMs: number;
  /** Where what comes out of children is kept; private to the server. */
  readonly folder: string;
  readonly runtimes: { readonly command: Runtime; readonly function: Runtime };
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** Milliseconds for which children that have ended are remembered. */
  readonly rememberMs: number;
}

/** At most so many children that have ended are remembered, with so much text and so many bytes of artifacts, for whoever comes late. */
const REMEMBERED = 100;
const REMEMBERED_CHARS = 32 * 1024 * 1024;
const REMEMBERED_ARTIFACT_BYTES = 1024 * 1024 * 1024;

export class Supervisor {
  readonly options: SupervisorOptions;
  /** Children that hold a slot. */
  readonly #active = new Set<Child>();
  /** Children by id, those that ended a short while ago included. */
  readonly #children = new Map<string, Child>();
  readonly #ended = new Map<Child, NodeJS.Timeout>();
  #draining = false;

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  /**
   * Admits a child, atomically, or refuses.
   *
   * @param lifetime `call` has the default deadline unless the spec names one, `placed` has the pool's longest one, if any.
   * @throws {PoolError} `at_capacity` with the load, `draining`; `invalid_request` for more than the pool's limits, `forbidden`
   *   for what its operator does not allow, `sandbox_unavailable` when a stronger sandbox is demanded.
   */
  admit(spec: ChildSpec, lifetime: "call" | "placed"): Child {
    const { pool, member, url, maxChildren, sandbox, runtimes, graceMs, confinement, folder } = this.options;
    if (this.#draining) throw PoolError.of("draining", `member ${member} admits no more children`);
    if (spec.sandbox !== undefined && !isAtLeast(sandbox.level, spec.sandbox)) {
      throw PoolError.of("sandbox_unavailable", `expected sandbox ${spec.sandbox}; member ${member} has ${sandbox.level}`);
    }
    checkCommand(spec, confinement.grants.commands, pool);
    const limits = tightened(confinement.limits, spec.limits);
    checkFiles(spec, limits.workspaceBytes);
    const deadlineMs = this.#deadlineOf(spec, lifetime);
    if (this.#active.size >= maxChildren) {
      const { active, max } = this.count();
      throw PoolError.of("at_capacity", `member ${member} runs ${active} of at most ${max} children of pool ${pool}`, { load: this.count() });
    }
    const id = `${member}.${randomBytes(16).toString("hex")}`;
    const child = new Child({
      reference: { id, pool, member, url: `${url}/children/${id}` },
      // A placed child can be fed while it runs; a call's input is empty unless it says more.
      spec: lifetime === "placed" ? { stdin: { open: true }, ...spec } : spec,
      runtime: spec.command ? runtimes.command : runtimes.function,
      sandbox,
      confinement: { ...confinement, limits },
      folder,
      deadlineMs,
      graceMs,
    });
    this.#active.add(child);
    this.#children.set(id, child);
    void child.gone.then(() => this.#active.delete(child));
    void child.ended.then(() => this.#remember(child));
    return child;
  }

  #deadlineOf({ deadlineMs }: ChildSpec, lifetime: "call" | "placed"): number | undefined {
    const { maxDeadlineMs, defaultDeadlineMs, pool } = this.options;
    if (deadlineMs !== undefined && maxDeadlineMs !== undefined && deadlineMs > maxDeadlineMs) {
      const message = `expected at most ${maxDeadlineMs}, the longest deadline of pool ${pool}; got ${deadlineMs}`;
      throw PoolError.of("invalid_request", `/deadlineMs: ${message}`, { fields: [{ path: "/deadlineMs", message }] });
    }
    if (deadlineMs !== undefined) return deadlineMs;
    return lifetime === "call" ? Math.min(defaultDeadlineMs, maxDeadlineMs ?? Number.POSITIVE_INFINITY) : maxDeadlineMs;
  }

  /** The children, in the order of their admission. */
  which(): ChildInfo[] {
    return [...this.#children.values()].map((child) => child.info);
  }

  count(): Load {
    return { active: this.#active.size, max: this.options.maxChildren, queued: 0 };
  }

  find(id: string): Child | undefined {
    return this.#children.get(id);
  }

  /** Admits nothing any more. */
  drain(): void {
    this.#draining = true;
  }

  /** Stops every child and resolves when all have ended, their terminal events in their logs. */
  async stopAll(cause: StopCause, detail: string): Promise<void> {
    this.drain();
    const children = [...this.#children.values()];
    for (const child of children) child.stop(cause, detail);
    await Promise.all(children.map((child) => child.ended));
  }

  /** Forgets the ended children and their logs. */
  close(): void {
    for (const child of [...this.#ended.keys()]) this.#forget(child);
  }

  #remember(child: Child): void {
    this.#ended.set(child, setTimeout(() => this.#forget(child), this.options.rememberMs).unref());
    let chars = 0;
    let artifactBytes = 0;
    for (const { log, artifacts } of this.#ended.keys()) {
      chars += log.heldChars;
      artifactBytes += artifacts?.bytes ?? 0;
    }
    const tooMuch = () => this.#ended.size > REMEMBERED || chars > REMEMBERED_CHARS || artifactBytes > REMEMBERED_ARTIFACT_BYTES;
    for (const oldest of [...this.#ended.keys()]) {
      // The last one is kept whatever its size: its caller is still reading.
      if (oldest === child || !tooMuch()) break;
      chars -= oldest.log.heldChars;
      artifactBytes -= oldest.artifacts?.bytes ?? 0;
      this.#forget(oldest);
    }
  }

  #forget(child: Child): void {
    clearTimeout(this.#ended.get(child));
    this.#ended.delete(child);
    this.#children.delete(child.id);
    child.close();
  }
}

/** Refuses files that cannot be put into the workspace, and patterns that cannot be looked for. */
function checkFiles({ files = {}, artifacts = [] }: ChildSpec, workspaceBytes: number): void {
  const paths = Object.keys(files);
  const refuse = (path: string, message: string) => PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
  const folders = new Set(paths.flatMap((path) => path.split("/").map((_, index, names) => names.slice(0, index).join("/"))));
  const both = paths.find((path) => folders.has(path));
  if (both !== undefined) throw refuse("/files", `expected ${JSON.stringify(both)} to be a file or a folder; got both`);
  const bytes = Object.values(files).reduce((sum, data) => sum + bytesOf(data).length, 0);
  if (bytes > workspaceBytes) throw refuse("/files", `expected at most ${workspaceBytes} bytes, the size of the workspace; got ${bytes}`);
  try {
    packed([], { files: false, artifacts });
  } catch (error) {
    throw refuse("/artifacts", messageOf(error));
  }
}

/** Refuses what an allow-list of commands does not name; a function could start anything. */
function checkCommand({ command, env = {} }: ChildSpec, allowed: readonly string[] | undefined, pool: string): void {
  if (allowed === undefined) return;
  if (command === undefined) throw PoolError.of("forbidden", `pool ${pool} runs only these commands, and no functions: ${allowed.join(", ")}`);
  if (!allowed.includes(command[0] ?? "")) throw PoolError.of("forbidden", `pool ${pool} runs only ${allowed.join(", ")}; got ${command[0]}`);
  // PATH, LD_PRELOAD, PS4 and many more make another program out of the one that is allowed.
  const names = Object.keys(env);
  if (names.length > 0)
    throw PoolError.of("forbidden", `pool ${pool} runs only the commands it allows, with its own variables: ${names.join(", ")} may not be set`);
}
