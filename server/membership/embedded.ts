/** A registry in memory, for several members in one process. */
import type { Member } from "../../sdk/typescript/members.ts";
import type { Membership } from "./membership.ts";

export class EmbeddedRegistry {
  #members: readonly Member[] = [];

  /** The membership of one more member. */
  membership(): Membership {
    let self: Member | undefined;
    const registry = this;
    return {
      async join(member) {
        self = member;
        registry.#members = [...registry.#members.filter(({ name }) => name !== member.name), member];
      },
      update(member) {
        registry.#members = registry.#members.map((other) => (other === self ? member : other));
        self = member;
      },
      async leave() {
        registry.#members = registry.#members.filter((member) => member !== self);
        self = undefined;
      },
      get trouble() {
        return self ? undefined : "not joined";
      },
      in: async (pool) => registry.#members.filter((member) => Object.hasOwn(member.pools, pool)),
      all: async () => registry.#members,
      close() {},
    };
  }
}
