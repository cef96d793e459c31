/** A registry in memory: `dpool dev` and tests run several members in one process with it. */
import type { Member, MemberStanding } from "../../sdk/typescript/placement/members.ts";
import { EmbeddedKeys } from "./embedded-keys.ts";
import { type Membership, nameTaken } from "./membership.ts";

export class EmbeddedRegistry {
  #members: readonly Member[] = [];
  /** Members that drain, or can start no children, by name. */
  readonly #away = new Map<string, MemberStanding>();
  readonly #keys = new EmbeddedKeys();

  #admitting(): readonly Member[] {
    return this.#members.filter(({ name }) => !this.#away.has(name));
  }

  /** Lists a member at another URL from now on, such as that of a proxy before it. */
  move(name: string, url: string): void {
    this.#members = this.#members.map((each) => (each.name === name ? { ...each, url } : each));
  }

  /** Makes the membership of one more member. */
  membership(): Membership {
    let self: Member | undefined;
    let isDraining = false;
    const registry = this;
    return {
      onPassed: undefined,
      keys: registry.#keys,
      isReachable: () => true,
      async join(member) {
        const other = registry.#members.find(({ name }) => name === member.name);
        if (other) throw nameTaken(member, other);
        self = member;
        registry.#members = [...registry.#members, member];
      },
      update(member) {
        registry.#members = registry.#members.map((other) => (other === self ? member : other));
        self = member;
      },
      async drain(drainEndsAt) {
        isDraining = true;
        if (self) registry.#away.set(self.name, { state: "draining", drainEndsAt });
      },
      sick(detail) {
        if (!self || isDraining) return;
        if (detail === undefined) registry.#away.delete(self.name);
        else registry.#away.set(self.name, { state: "sick", detail });
      },
      async leave() {
        if (self) registry.#away.delete(self.name);
        registry.#members = registry.#members.filter((member) => member !== self);
        self = undefined;
      },
      get trouble() {
        return self ? undefined : "not joined";
      },
      in: async (pool) =>
        registry.#admitting().filter((member) => Object.hasOwn(member.pools, pool)),
      all: async () => registry.#admitting(),
      registered: async () =>
        registry.#members.map((member) => ({
          ...member,
          ...(registry.#away.get(member.name) ?? { state: "up" }),
        })),
      find: async (name) => registry.#members.find((member) => member.name === name),
      close() {},
    };
  }
}
