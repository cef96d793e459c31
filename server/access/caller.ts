/** Who is calling, and what they may do in which pools. */

/** `call`: place, stop and follow children. `observe`: see. `admin`: everything, in all pools. */
export const SCOPES = ["call", "observe", "admin"] as const;
export type Scope = (typeof SCOPES)[number];

export interface Grant {
  readonly scopes: ReadonlySet<Scope>;
  readonly pools: ReadonlySet<string> | "*";
}

export class Caller {
  /** As the log and the refusals name it. */
  readonly name: string;
  readonly #grant: Grant;

  constructor(name: string, grant: Grant) {
    this.name = name;
    this.#grant = grant;
  }

  /** Whether it has one of the scopes, whatever the pool. */
  has(scopes: readonly Scope[]): boolean {
    const { scopes: given } = this.#grant;
    return given.has("admin") || scopes.some((scope) => given.has(scope));
  }

  /** Whether it has one of the scopes in the pool. */
  may(scopes: readonly Scope[], pool: string): boolean {
    const { scopes: given, pools } = this.#grant;
    return given.has("admin") || (this.has(scopes) && (pools === "*" || pools.has(pool)));
  }
}

/** Where nobody has to show who they are. */
export const ANYONE = new Caller("anyone", { scopes: new Set(["admin"]), pools: "*" });
