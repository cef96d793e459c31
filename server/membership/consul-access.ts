/** The rights of a member's token: asked for before it registers, and at each heartbeat. */
import { PoolError } from "../../openapi/errors.ts";
import type { ConsulClient } from "../../sdk/typescript/node/consul/consul-client.ts";
import type { ConsulOptions } from "../../sdk/typescript/node/consul/consul-options.ts";
import {
  ConsulRights,
  READ_MEMBERS,
  type Right,
} from "../../sdk/typescript/node/consul/consul-rights.ts";
import { SERVICE } from "../../sdk/typescript/node/consul/consul-service.ts";
import { USE_KEYS, USING_KEYS } from "./consul-keys.ts";

/** The right to write a service includes that to read it. */
const REGISTER: readonly Right[] = [
  {
    Resource: "service",
    Access: "write",
    Segment: SERVICE,
    rule: `service "${SERVICE}" { policy = "write" }`,
  },
  ...READ_MEMBERS.filter(({ Resource }) => Resource === "node"),
];

const REGISTERING = "register this member";

/**
 * The rights of a member's token. Its callers are not at fault where it lacks one, so they are told
 * that no member is available.
 */
export function memberRights(consul: ConsulClient, options: ConsulOptions): ConsulRights {
  const refuse = (_: string, detail: string) => PoolError.of("no_members_available", detail);
  return new ConsulRights(consul, options, refuse);
}

/** The rights that a token of Consul's ACLs lacks. */
export interface MissingRights {
  /** Names the rights; undefined where the token has them, or Consul has no ACLs. */
  readonly refusal: string | undefined;
  /** All rules of the policy that a member's token needs. */
  readonly rules: readonly string[];
}

/**
 * Asks whether a token may register a member, and whether it may keep idempotency keys.
 *
 * @throws the error of Consul's client, when Consul is away.
 */
export async function missingRights(
  consul: ConsulClient,
  options: ConsulOptions,
): Promise<{ readonly register: MissingRights; readonly keys: MissingRights }> {
  const rights = memberRights(consul, options);
  const ask = async (what: string, needed: readonly Right[]): Promise<MissingRights> => ({
    refusal: (await rights.missing(what, needed))?.message,
    rules: needed.map(({ rule }) => rule),
  });
  const [register, keys] = await Promise.all([
    ask(REGISTERING, REGISTER),
    ask(USING_KEYS, USE_KEYS),
  ]);
  return { register, keys };
}

/** Watches whether Consul lets the member be in its pools. */
export class ConsulAccess {
  readonly #rights: ConsulRights;
  readonly #log: (level: "info" | "warn", message: string) => void;
  #trouble: string | undefined;

  constructor(rights: ConsulRights, log: (level: "info" | "warn", message: string) => void) {
    this.#rights = rights;
    this.#log = log;
  }

  /** The right that the token lacks; undefined where it lacks none, or Consul was not asked. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * Whether the member may register. Never rejects.
   *
   * @param onAway is called with the error when Consul does not answer. Default: nothing.
   */
  async check(onAway: (error: unknown) => void = () => {}): Promise<boolean> {
    try {
      return this.#note(await this.#rights.missing(REGISTERING, REGISTER));
    } catch (error) {
      onAway(error);
      return false;
    }
  }

  /** Whether a failed request has to do with rights. Never rejects. */
  async explains(error: unknown): Promise<boolean> {
    const refusal = await this.#rights.behind(error, REGISTERING, REGISTER);
    return refusal !== undefined && !this.#note(refusal);
  }

  /** Warns where calls with an idempotency key will be refused. Never rejects. */
  async checkKeys(): Promise<void> {
    const refusal = await this.#rights.missing(USING_KEYS, USE_KEYS).catch(() => undefined);
    if (refusal) this.#log("warn", `${refusal.message}; calls with an idempotency key are refused`);
  }

  #note(refusal: PoolError | undefined): boolean {
    const trouble = refusal?.message;
    if (trouble !== this.#trouble) {
      if (trouble !== undefined) this.#log("warn", `${trouble}; trying again`);
      else this.#log("info", "the ACL token has the rights of a member again");
    }
    this.#trouble = trouble;
    return refusal === undefined;
  }
}
