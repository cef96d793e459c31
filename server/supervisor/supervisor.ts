/** One pool's children on this member, never more than `maxChildren`. */
import { randomBytes } from "node:crypto";
import type { Load } from "../../openapi/errors.ts";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { isAtLeast, type SandboxLevel } from "../../openapi/limits.ts";
import type { ChildInfo } from "../../openapi/resources.ts";
import { type ChildSpec, MAX_FILES } from "../../openapi/spec.ts";
import type { Part } from "../../sdk/typescript/http/multipart.ts";
import type { RuntimeRegistry } from "../runtimes/registry/runtime-registry.ts";
import { type ChildLimits, type Confinement, tightened } from "../sandbox/confinement.ts";
import { packed } from "../sandbox/packing.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { checkUrl } from "../workspace/fetch.ts";
import type { FetchRules } from "../workspace/fetch-rules.ts";
import { fileOf } from "../workspace/files.ts";
import type { Uploads } from "../workspace/uploads.ts";
import { Child, type StopCause } from "./child.ts";
import { Slots, type Waiter } from "./slots.ts";

export interface SupervisorOptions {
  readonly pool: string;
  readonly member: string;
  /** This member's own URL, without a final slash. */
  readonly url: string;
  readonly maxChildren: number;
  /** Callers that may wait for a slot at a time. */
  readonly maxQueue: number;
  readonly sandbox: Sandbox;
  /** The pool's limits and grants; a caller can tighten the limits. */
  readonly confinement: Confinement;
  /** The longest deadline that a caller may ask for, in milliseconds; undefined for any. */
  readonly maxDeadlineMs?: number | undefined;
  /** The deadline of a call that names none, in milliseconds. */
  readonly defaultDeadlineMs: number;
  /** Which URLs of files are fetched for children. */
  readonly fetchRules: FetchRules;
  /** Where what goes into children, and comes out of them, is kept; private to the server. */
  readonly folder: string;
  readonly runtimes: RuntimeRegistry;
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
  /** Milliseconds for which children that have ended are remembered. */
  readonly rememberMs: number;
}

/** At most so many children that have ended are remembered, with so many bytes of events and so many bytes of artifacts, for whoever comes late. */
const REMEMBERED = 100;
const REMEMBERED_BYTES = 32 * 1024 * 1024;
const REMEMBERED_ARTIFACT_BYTES = 1024 * 1024 * 1024;

/** Of so many that were forgotten the ids are kept: their events have expired. */
const FORGOTTEN = 10_000;

/** What may change while it runs. */
export type ChangeableOptions = Pick<
  SupervisorOptions,
  | "maxChildren"
  | "maxQueue"
  | "confinement"
  | "maxDeadlineMs"
  | "defaultDeadlineMs"
  | "runtimes"
  | "graceMs"
  | "rememberMs"
  | "fetchRules"
>;

/** Whose request it is, and with what it comes. */
export interface Claim {
  /** The caller, as those that wait are told apart: the name of its token, where there are tokens. */
  readonly client: string;
  /** A slot that it was granted; without one a free slot is taken. */
  readonly slot?: string | undefined;
  /** What came beside the spec. */
  readonly uploads?: Uploads | undefined;
}

export interface Wait extends Claim {
  /** Is told the caller's position, at first and when it changes. */
  readonly onPosition?: ((position: number) => void) | undefined;
  /** Ends the wait: the caller has left. */
  readonly signal?: AbortSignal | undefined;
}

export class Supervisor {
  options: SupervisorOptions;
  readonly slots: Slots;
  /** Children by id, those that ended a short while ago included. */
  readonly #children = new Map<string, Child>();
  readonly #ended = new Map<Child, NodeJS.Timeout>();
  readonly #forgotten = new Set<string>();
  readonly #whenForgotten: (() => void)[] = [];

  constructor(options: SupervisorOptions) {
    this.options = options;
    const { pool, member, maxChildren, maxQueue } = options;
    this.slots = new Slots({ pool, member, max: maxChildren, maxQueue });
  }

  /**
   * Takes changed options, for children admitted from now on; admits again where it drained. Those that run go on, though there be
   * more of them than `maxChildren`.
   */
  update(changes: ChangeableOptions): void {
    this.options = { ...this.options, ...changes };
    this.slots.resize(changes.maxChildren, changes.maxQueue);
  }

  /**
   * Admits a child, atomically, or refuses. The spec's `waitMs` is not looked at: see {@link admitWhenFree}.
   *
   * @param lifetime `call` has the default deadline unless the spec names one, `placed` has the pool's longest one, if any.
   * @throws {PoolError} `at_capacity` with the load, `slot_not_found`, `draining`; `invalid_request` for more than the pool's limits,
   *   `task_not_found`, `runtime_not_found`, `forbidden` for what its operator does not allow, `sandbox_unavailable` when a stronger sandbox is demanded.
   */
  admit(spec: ChildSpec, lifetime: "call" | "placed", { client, slot, uploads }: Claim): Child {
    const limits = this.check(spec, uploads);
    const deadlineMs = this.#deadlineOf(spec, lifetime);
    const { pool, member, url, sandbox, runtimes, graceMs, confinement, fetchRules, folder } =
      this.options;
    const call = runtimes.callOf(spec);
    const place = slot === undefined ? this.slots.take() : this.slots.claim(slot, client);
    const id = `${member}.${randomBytes(16).toString("hex")}`;
    const child = new Child({
      reference: { id, pool, member, url: `${url}/children/${id}` },
      // A placed child can be fed while it runs; a call's input is empty unless it says more.
      spec: lifetime === "placed" || uploads?.stdin ? { stdin: { open: true }, ...spec } : spec,
      uploads,
      runtime: call ? runtimes.of(call) : runtimes.command,
      call,
      client,
      sandbox,
      confinement: { ...confinement, limits },
      fetchRules,
      folder,
      // What the caller named is what was left of it when it sent this request; the default counts from when the slot was asked for.
      deadlineMs:
        spec.deadlineMs === undefined && deadlineMs !== undefined
          ? Math.max(1, deadlineMs - (performance.now() - place.requestedAt))
          : deadlineMs,
      graceMs,
    });
    this.#children.set(id, child);
    void child.gone.then(() => place.free());
    void child.ended.then(() => this.#remember(child));
    return child;
  }

  /**
   * Admits a child as soon as a slot is free, for as long as the spec's `waitMs`; its `deadlineMs` counts from now.
   *
   * @throws {PoolError} as {@link admit}; `queue_timeout`, or `deadline_exceeded` where the deadline came first; `cancelled` when the caller left.
   */
  async admitWhenFree(
    spec: ChildSpec,
    lifetime: "call" | "placed",
    { onPosition, signal, ...claim }: Wait,
  ): Promise<Child> {
    if (spec.waitMs === 0 || claim.slot !== undefined) return this.admit(spec, lifetime, claim);
    this.check(spec, claim.uploads);
    const deadlineMs = this.#deadlineOf(spec, lifetime) ?? Number.POSITIVE_INFINITY;
    const since = performance.now();
    const waiter = this.request(Math.min(spec.waitMs, deadlineMs), claim.client);
    if (onPosition) waiter.onPosition(onPosition);
    const leave = () => waiter.leave();
    signal?.addEventListener("abort", leave, { once: true });
    if (signal?.aborted) leave();
    try {
      const { id } = await waiter.granted;
      const remainder =
        spec.deadlineMs === undefined
          ? {}
          : { deadlineMs: Math.max(1, Math.ceil(spec.deadlineMs - (performance.now() - since))) };
      return this.admit({ ...spec, ...remainder }, lifetime, { ...claim, slot: id });
    } catch (error) {
      if (error instanceof PoolError && error.code === "queue_timeout" && deadlineMs < spec.waitMs)
        throw PoolError.of(
          "deadline_exceeded",
          `the deadline of ${deadlineMs} ms passed before a slot came free`,
        );
      throw error;
    } finally {
      signal?.removeEventListener("abort", leave);
      leave();
    }
  }

  /** Asks for a slot. @throws {PoolError} `at_capacity` with the load, `draining`, `sandbox_unavailable`. */
  request(waitMs: number, client: string, demanded?: SandboxLevel): Waiter {
    this.#checkSandbox(demanded);
    return this.slots.request(client, waitMs);
  }

  /** The limits of a child of this spec. @throws {PoolError} what {@link admit} says of the spec itself. */
  check(spec: ChildSpec, uploads?: Uploads): ChildLimits {
    const { pool, confinement, fetchRules, runtimes } = this.options;
    this.#checkSandbox(spec.sandbox);
    checkCommand(spec, confinement.grants.commands, pool);
    const call = runtimes.callOf(spec);
    if (call) runtimes.of(call);
    const limits = tightened(confinement.limits, spec.limits);
    if (uploads?.stdin && spec.stdin !== undefined)
      throw PoolError.of(
        "invalid_request",
        "/stdin: expected it in the spec or as a part; got both",
      );
    checkFiles(spec, uploads?.files ?? [], limits.workspaceBytes, fetchRules);
    return limits;
  }

  #checkSandbox(demanded: SandboxLevel | undefined): void {
    const { member, sandbox } = this.options;
    if (demanded !== undefined && !isAtLeast(sandbox.level, demanded))
      throw PoolError.of(
        "sandbox_unavailable",
        `expected sandbox ${demanded}; member ${member} has ${sandbox.level}`,
      );
  }

  #deadlineOf({ deadlineMs }: ChildSpec, lifetime: "call" | "placed"): number | undefined {
    const { maxDeadlineMs, defaultDeadlineMs, pool } = this.options;
    if (deadlineMs !== undefined && maxDeadlineMs !== undefined && deadlineMs > maxDeadlineMs) {
      const message = `expected at most ${maxDeadlineMs}, the longest deadline of pool ${pool}; got ${deadlineMs}`;
      throw PoolError.of("invalid_request", `/deadlineMs: ${message}`, {
        fields: [{ path: "/deadlineMs", message }],
      });
    }
    if (deadlineMs !== undefined) return deadlineMs;
    return lifetime === "call"
      ? Math.min(defaultDeadlineMs, maxDeadlineMs ?? Number.POSITIVE_INFINITY)
      : maxDeadlineMs;
  }

  /** The children, in the order of their admission. */
  which(): ChildInfo[] {
    return [...this.#children.values()].map((child) => child.info);
  }

  count(): Load {
    return this.slots.load();
  }

  find(id: string): Child | undefined {
    return this.#children.get(id);
  }

  /** Whether it had a child that has ended, and has been forgotten since. */
  hasForgotten(id: string): boolean {
    return this.#forgotten.has(id);
  }

  /** Resolves when the children that run now have ended, their terminal events in their logs. */
  async settled(): Promise<void> {
    await Promise.all([...this.#children.values()].map((child) => child.ended));
  }

  /** Resolves when there is no child any more, not one that is remembered. */
  forgotten(): Promise<void> {
    return this.#children.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#whenForgotten.push(resolve));
  }

  /** Admits nothing any more, ends the processes that wait for calls, and tells the functions that run. */
  drain(): void {
    this.slots.drain();
    void this.options.runtimes.close();
    for (const child of this.#children.values()) child.notifyDrain();
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
    let bytes = 0;
    let artifactBytes = 0;
    for (const { log, artifacts } of this.#ended.keys()) {
      bytes += log.heldBytes;
      artifactBytes += artifacts?.bytes ?? 0;
    }
    const tooMuch = () =>
      this.#ended.size > REMEMBERED ||
      bytes > REMEMBERED_BYTES ||
      artifactBytes > REMEMBERED_ARTIFACT_BYTES;
    for (const oldest of [...this.#ended.keys()]) {
      // The last one is kept whatever its size: its caller is still reading.
      if (oldest === child || !tooMuch()) break;
      bytes -= oldest.log.heldBytes;
      artifactBytes -= oldest.artifacts?.bytes ?? 0;
      this.#forget(oldest);
    }
  }

  #forget(child: Child): void {
    clearTimeout(this.#ended.get(child));
    this.#ended.delete(child);
    this.#children.delete(child.id);
    child.close();
    this.#forgotten.add(child.id);
    if (this.#forgotten.size > FORGOTTEN)
      this.#forgotten.delete(this.#forgotten.values().next().value as string);
    if (this.#children.size === 0) for (const tell of this.#whenForgotten.splice(0)) tell();
  }
}

/** Refuses files that cannot be put into the workspace, and patterns that cannot be looked for. */
function checkFiles(
  { files = {}, artifacts = [] }: ChildSpec,
  uploaded: readonly Part[],
  workspaceBytes: number,
  rules: FetchRules,
): void {
  const paths = [...Object.keys(files), ...uploaded.map(({ name }) => name)];
  const refuse = (path: string, message: string) =>
    PoolError.of("invalid_request", `${path}: ${message}`, { fields: [{ path, message }] });
  if (paths.length > MAX_FILES)
    throw refuse("/files", `expected at most ${MAX_FILES} files; got ${paths.length}`);
  const twice = paths.find((path, index) => paths.indexOf(path) !== index);
  if (twice !== undefined)
    throw refuse(
      "/files",
      `expected ${JSON.stringify(twice)} once; got it in the spec and in a part`,
    );
  const folders = new Set(
    paths.flatMap((path) =>
      path.split("/").map((_, index, names) => names.slice(0, index).join("/")),
    ),
  );
  const both = paths.find((path) => folders.has(path));
  if (both !== undefined)
    throw refuse("/files", `expected ${JSON.stringify(both)} to be a file or a folder; got both`);
  const parts = [...uploaded];
  for (const [path, data] of Object.entries(files)) {
    if (typeof data === "object" && "url" in data) checkUrl(path, data.url, rules);
    else parts.push(fileOf(path, data));
  }
  const bytes = parts.reduce((sum, part) => sum + part.bytes, 0);
  if (bytes > workspaceBytes)
    throw refuse(
      "/files",
      `expected at most ${workspaceBytes} bytes, the size of the workspace; got ${bytes}`,
    );
  try {
    packed([], { files: false, artifacts });
  } catch (error) {
    throw refuse("/artifacts", messageOf(error));
  }
}

/** Refuses what an allow-list of commands does not name; a function could start anything, a task is the operator's own. */
function checkCommand(
  { command, function: fn, task, env = {}, files }: ChildSpec,
  allowed: readonly string[] | undefined,
  pool: string,
): void {
  if (allowed === undefined) return;
  if (fn)
    throw PoolError.of(
      "forbidden",
      `pool ${pool} runs only these commands, and no functions: ${allowed.join(", ")}`,
    );
  if (command && !allowed.includes(command[0] ?? ""))
    throw PoolError.of(
      "forbidden",
      `pool ${pool} runs only ${allowed.join(", ")}; got ${command[0]}`,
    );
  // PATH, LD_PRELOAD, PS4 and many more make another program out of the one that is allowed.
  const names = Object.keys(env);
  if (names.length > 0)
    throw PoolError.of(
      "forbidden",
      `pool ${pool} runs only the commands it allows, with its own variables: ${names.join(", ")} may not be set`,
    );
  // Runtimes look for more modules in the workspace, which is their home.
  if (task && files)
    throw PoolError.of(
      "forbidden",
      `pool ${pool} runs only the commands it allows, and tasks without files`,
    );
}
