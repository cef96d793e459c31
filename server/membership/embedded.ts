/** A registry in memory: `dpool dev` and tests run several members in one process with it. */
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { EmbeddedKeys } from "./embedded-keys.ts";
import { type Membership, nameTaken } from "./membership.ts";

export class EmbeddedRegistry {
  #members: readonly Member[] = [];
  /** Members that drain, or can start no children. */
  readonly #away = new Set<Member>();
  readonly #keys = new EmbeddedKeys();

  #admitting(): readonly Member[] {
    return this.#members.filter((member) => !this.#away.has(member));
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
        if (self && registry.#away.delete(self)) registry.#away.add(member);
        registry.#members = registry.#members.map((other) => (other === self ? member : other));
        self = member;
      },
      async drain() {
        isDraining = true;
        if (self) registry.#away.add(self);
      },
      sick(reason) {
        if (!self || isDraining) return;
        if (reason === undefined) registry.#away.delete(self);
        else registry.#away.add(self);
      },
      async leave() {
        if (self) registry.#away.delete(self);
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
