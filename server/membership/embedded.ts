/** A registry in memory: `dpool dev` and tests run several members in one process with it. */
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { EmbeddedKeys } from "./embedded-keys.ts";
import type { Membership } from "./membership.ts";

export class EmbeddedRegistry {
  #members: readonly Member[] = [];
  readonly #draining = new Set<Member>();
  readonly #keys = new EmbeddedKeys();

  #admitting(): readonly Member[] {
    return this.#members.filter((member) => !this.#draining.has(member));
  }

  /** Makes the membership of one more member. */
  membership(): Membership {
    let self: Member | undefined;
    const registry = this;
    return {
      onPassed: undefined,
      keys: registry.#keys,
      async join(member) {
        self = member;
        registry.#members = [
          ...registry.#members.filter(({ name }) => name !== member.name),
          member,
        ];
      },
      update(member) {
        if (self && registry.#draining.delete(self)) registry.#draining.add(member);
        registry.#members = registry.#members.map((other) => (other === self ? member : other));
        self = member;
      },
      async drain() {
        if (self) registry.#draining.add(self);
      },
      async leave() {
        if (self) registry.#draining.delete(self);
        registry.#members = registry.#members.filter((member) => member !== self);
        self = undefined;
      },
      get trouble() {
        return self ? undefined : "not joined";
      },
      in: async (pool) =>
        registry.#admitting().filter((member) => Object.hasOwn(member.pools, pool)),
      all: async () => registry.#admitting(),
      registered: async () => registry.#members,
      find: async (name) => registry.#members.find((member) => member.name === name),
      close() {},
    };
  }
}
