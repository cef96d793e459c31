/**
 * The members that may be asked. A registry shows what anybody registered there, so a member proves
 * by its certificate who it is, and no token goes over the network in clear.
 */
import { PoolError } from "../../../openapi/errors.ts";
import type { Member, Members } from "../placement/members.ts";
import { isReadable } from "./loopback.ts";

export interface TrustRules {
  /** Whether every member has to serve https. */
  readonly httpsOnly: boolean;
  /** Whether members may be asked over http beyond loopback, where others can read the tokens. */
  readonly insecure: boolean;
  /** The member of this process, which is asked without a connection. Default: none. */
  readonly self?: Pick<Member, "name" | "url"> | undefined;
  /** Is called once for each member that is not asked. Default: nothing. */
  readonly log?: ((message: string) => void) | undefined;
}

/** 1,000 members are remembered as logged. Beyond that, one may be logged again. */
const MAX_LOGGED = 1_000;

export class TrustedMembers implements Members {
  readonly #members: Members;
  readonly #rules: TrustRules;
  readonly #logged = new Set<string>();
  /** The trusted part of each list, as long as the registry keeps the list. */
  readonly #parts = new WeakMap<readonly Member[], readonly Member[]>();

  constructor(members: Members, rules: TrustRules) {
    this.#members = members;
    this.#rules = rules;
  }

  async in(pool: string) {
    return this.#trusted(await this.#members.in(pool));
  }

  async all() {
    return this.#trusted(await this.#members.all());
  }

  /** All members: an error may count those that are not asked. */
  registered() {
    return this.#members.registered();
  }

  trusts(member: Member) {
    const reason = this.#reason(member);
    if (reason !== undefined) this.#log(reason);
    return reason === undefined;
  }

  /** @throws {PoolError} `member_lost` for a member that is registered, and not asked. */
  async find(name: string) {
    const registered = await this.#members.registered();
    const found = this.#trusted(registered).find((member) => member.name === name);
    const distrusted = found ? undefined : registered.find((member) => member.name === name);
    if (distrusted)
      throw PoolError.of("member_lost", this.#reason(distrusted) as string, {
        admitted: "unknown",
      });
    return found;
  }

  async refusal() {
    return this.#members.refusal?.();
  }

  close(): void {
    this.#members.close();
  }

  #trusted(list: readonly Member[]): readonly Member[] {
    const known = this.#parts.get(list);
    if (known) return known;
    const part = list.filter((member) => this.trusts(member));
    this.#parts.set(list, part);
    return part;
  }

  /** Why the member is not asked; undefined for a trusted one. */
  #reason({ name, url }: Member): string | undefined {
    const { httpsOnly, insecure, self } = this.#rules;
    if (name === self?.name && url === self.url) return undefined;
    const refused = `member ${name} is registered with ${url}, and is not asked: expected https`;
    if (httpsOnly && !url.startsWith("https:")) return `${refused}, because TLS is configured`;
    if (!insecure && isReadable(url))
      return `${refused} or a loopback address, so that no token goes in clear; see insecure`;
    return undefined;
  }

  #log(reason: string): void {
    if (this.#logged.has(reason)) return;
    if (this.#logged.size >= MAX_LOGGED) this.#logged.clear();
    this.#logged.add(reason);
    this.#rules.log?.(reason);
  }
}
