/** Describes a caller: its name, and what it may do in which pools. */
import type { Quotas } from "./quotas.ts";

/**
 * `call` allows placing children, and following and stopping one's own. `observe` allows looking at
 * all children. `admin` allows everything, in all pools.
 */
export const SCOPES = ["call", "observe", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export interface Grant {
  readonly scopes: ReadonlySet<Scope>;
  readonly pools: ReadonlySet<string> | "*";
}

export class Caller {
  /** The name that the log and the refusals show. It owns the children that the caller places. */
  readonly name: string;
  readonly quotas: Quotas;
  readonly #grant: Grant;

  constructor(name: string, grant: Grant, quotas: Quotas = {}) {
    this.name = name;
    this.quotas = quotas;
    this.#grant = grant;
  }

  /** The caller as answers show it. Without `pools` the scopes hold in all of them. */
  get shown() {
    const { scopes, pools } = this.#grant;
    const all = pools === "*" || scopes.has("admin");
    return { name: this.name, scopes: [...scopes], ...(!all && { pools: [...pools] }) };
  }

  /** Whether the caller has one of the scopes in at least one pool. */
  has(scopes: readonly Scope[]): boolean {
    const granted = this.#grant.scopes;
    return granted.has("admin") || scopes.some((scope) => granted.has(scope));
  }

  /** Whether the caller has one of the scopes in this pool. */
  may(scopes: readonly Scope[], pool: string): boolean {
    const { scopes: granted, pools } = this.#grant;
    return granted.has("admin") || (this.has(scopes) && (pools === "*" || pools.has(pool)));
  }
}

/** The caller of every request to a member that has neither tokens nor JWTs. */
export const ANYONE = new Caller("anyone", { scopes: new Set(["admin"]), pools: "*" });
