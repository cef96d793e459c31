/**
 * The rights of a token of Consul's ACLs. Consul filters a list that the token may not read, and
 * answers with an empty one, so the token's rights have to be asked for.
 */
import { messageOf, PoolError } from "../../../../openapi/errors.ts";
import { type ConsulClient, post } from "./consul-client.ts";
import { SERVICE } from "./consul-service.ts";

/** A right, as Consul's API names it. */
export interface Right {
  readonly Resource: "service" | "node" | "key";
  readonly Access: "read" | "write";
  /** The name that a rule has to match. */
  readonly Segment: string;
  /** A rule of a policy that gives the right. */
  readonly rule: string;
}

/**
 * The rights of whoever reads the list of members. The right to read a service without that to read
 * its nodes gives an empty list.
 */
export const READ_MEMBERS: readonly Right[] = [
  {
    Resource: "service",
    Access: "read",
    Segment: SERVICE,
    rule: `service "${SERVICE}" { policy = "read" }`,
  },
  { Resource: "node", Access: "read", Segment: "", rule: 'node_prefix "" { policy = "read" }' },
];

/** The act that Consul refuses to a token without them. */
export const READING = "show the members";

/** How a program without the rights is refused. */
type Refuse = (code: "unauthorized" | "forbidden", detail: string) => PoolError;

/** The rights of one client of Consul. */
export class ConsulRights {
  readonly #consul: ConsulClient;
  readonly #hasToken: boolean;
  readonly #refuse: Refuse;

  /** @param refuse makes the error of a program without the rights. Default: `PoolError.of`. */
  constructor(
    consul: ConsulClient,
    { token }: { readonly token?: string | undefined },
    refuse: Refuse = PoolError.of,
  ) {
    this.#consul = consul;
    this.#hasToken = token !== undefined && token !== "";
    this.#refuse = refuse;
  }

  /**
   * Asks whether the token has all the rights. Resolves with the refusal where it lacks one, and
   * with undefined where it has them, or where Consul has no ACLs.
   *
   * @param what completes "Consul refuses to".
   * @throws the error of Consul's client, when Consul is away.
   */
  async missing(what: string, rights: readonly Right[]): Promise<PoolError | undefined> {
    const questions = rights.map(({ rule, ...right }) => right);
    let answers: readonly { readonly Allow: boolean }[];
    try {
      answers = await post(this.#consul, "/internal/acl/authorize", questions);
    } catch (error) {
      const status = statusOf(error);
      if (status === 403)
        return this.#refuse(
          "unauthorized",
          `Consul refuses to ${what}: it does not know the ACL token`,
        );
      // 401: ACLs are off. 404: this Consul cannot be asked.
      if (status === 401 || status === 404) return undefined;
      throw error;
    }
    const rules = rights.filter((_, index) => answers[index]?.Allow === false);
    if (rules.length === 0) return undefined;
    const names = rules.map(({ rule }) => rule).join(" and ");
    return this.#hasToken
      ? this.#refuse("forbidden", `Consul refuses to ${what}: the ACL token lacks ${names}`)
      : this.#refuse(
          "unauthorized",
          `Consul refuses to ${what}: no ACL token is given (CONSUL_HTTP_TOKEN), and the ` +
            `anonymous one lacks ${names}`,
        );
  }

  /**
   * The refusal behind an error of Consul's client, which seldom names the right; undefined for
   * another error, such as that of a Consul that is away.
   */
  async behind(
    error: unknown,
    what: string,
    rights: readonly Right[],
  ): Promise<PoolError | undefined> {
    if (statusOf(error) !== 403) return undefined;
    const missing = await this.missing(what, rights).catch(() => undefined);
    return missing ?? this.#refuse("forbidden", `Consul refuses to ${what}: ${messageOf(error)}`);
  }
}

/** The status of Consul's answer; undefined where none came. */
const statusOf = (error: unknown) =>
  (error as { readonly statusCode?: number } | undefined)?.statusCode;
