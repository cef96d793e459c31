/** The members in Consul, for callers that may never ask: the client takes 25 ms to load. */
import type { Members } from "../../placement/members.ts";
import { addressOf, type ConsulOptions } from "./consul-options.ts";

export class LazyMembers implements Members {
  readonly #options: ConsulOptions;
  #members: Promise<Members> | undefined;

  /** @throws {PoolError} `invalid_request` for an address that is not an http or https one. */
  constructor(options: ConsulOptions) {
    addressOf(options);
    this.#options = options;
  }

  async in(pool: string) {
    return (await this.#load()).in(pool);
  }

  async all() {
    return (await this.#load()).all();
  }

  async registered() {
    return (await this.#load()).registered();
  }

  async find(name: string) {
    return (await this.#load()).find(name);
  }

  async refusal() {
    return (await this.#load()).refusal?.();
  }

  close(): void {
    this.#members?.then(
      (members) => members.close(),
      () => {},
    );
  }

  #load(): Promise<Members> {
    this.#members ??= Promise.all([
      import("./consul-client.ts"),
      import("./consul-members.ts"),
      import("./consul-rights.ts"),
    ]).then(([{ consulClient }, { ConsulMembers }, { ConsulRights }]) => {
      const consul = consulClient(this.#options);
      return new ConsulMembers(consul, new ConsulRights(consul, this.#options));
    });
    return this.#members;
  }
}
