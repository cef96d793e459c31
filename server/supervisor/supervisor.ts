/** One pool's children on this member, never more than `maxChildren`. */
import { randomBytes } from "node:crypto";
import type { Load } from "../../openapi/errors.ts";
import type { ChildInfo, ChildSpec } from "../../openapi/schemas.ts";
import { PoolError } from "../../sdk/typescript/errors.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { Child, type StopCause } from "./child.ts";

export interface SupervisorOptions {
  readonly pool: string;
  readonly member: string;
  /** This member's own URL, without a final slash. */
  readonly url: string;
  readonly maxChildren: number;
  readonly sandbox: Sandbox;
  readonly runtimes: { readonly command: Runtime; readonly function: Runtime };
  /** Milliseconds between TERM and KILL. */
  readonly graceMs: number;
}

/** Children that have ended are remembered for so long, and so many of them with so much text, for whoever comes late to their events. */
const REMEMBERED_MS = 60_000;
const REMEMBERED = 100;
const REMEMBERED_CHARS = 32 * 1024 * 1024;

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
   * @param deadlineMs until it is stopped; undefined for never.
   * @throws {PoolError} `at_capacity` with the load, `draining`.
   */
  admit(spec: ChildSpec, deadlineMs: number | undefined): Child {
    const { pool, member, url, maxChildren, sandbox, runtimes, graceMs } = this.options;
    if (this.#draining) throw PoolError.of("draining", `member ${member} admits no more children`);
    if (this.#active.size >= maxChildren) {
      const { active, max } = this.count();
      throw PoolError.of("at_capacity", `member ${member} runs ${active} of at most ${max} children of pool ${pool}`, { load: this.count() });
    }
    const id = `${member}.${randomBytes(16).toString("hex")}`;
    const child = new Child({
      reference: { id, pool, member, url: `${url}/children/${id}` },
      spec,
      runtime: spec.command ? runtimes.command : runtimes.function,
      sandbox,
      deadlineMs,
      graceMs,
    });
    this.#active.add(child);
    this.#children.set(id, child);
    void child.gone.then(() => this.#active.delete(child));
    void child.ended.then(() => this.#remember(child));
    return child;
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

  /** Stops a child. Answers it, or undefined when there is none with this id. */
  terminate(id: string): Child | undefined {
    const child = this.#children.get(id);
    child?.stop("cancelled", "the child was stopped on request");
    return child;
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
    this.#ended.set(child, setTimeout(() => this.#forget(child), REMEMBERED_MS).unref());
    let chars = 0;
    for (const { log } of this.#ended.keys()) chars += log.heldChars;
    for (const oldest of [...this.#ended.keys()]) {
      // The last one is kept whatever its size: its caller is still reading.
      if (oldest === child || (this.#ended.size <= REMEMBERED && chars <= REMEMBERED_CHARS)) break;
      chars -= oldest.log.heldChars;
      this.#forget(oldest);
    }
  }

  #forget(child: Child): void {
    clearTimeout(this.#ended.get(child));
    this.#ended.delete(child);
    this.#children.delete(child.id);
  }
}
