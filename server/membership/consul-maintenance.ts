/** Consul's maintenance: the other members send no children here, and find those that run. */
import { messageOf } from "../../openapi/errors.ts";
import type { ConsulClient } from "../../sdk/typescript/node/consul/consul-client.ts";

const REQUEST_TIMEOUT_MS = 2_000;
/** 200 characters of a reason, which travels in a URL. */
const MAX_REASON = 200;

export class Maintenance {
  readonly #consul: ConsulClient;
  readonly #warn: (message: string) => void;
  /** The reason that Consul shows; null where it may show any. */
  #shown: string | null | undefined = null;

  constructor(consul: ConsulClient, warn: (message: string) => void) {
    this.#consul = consul;
    this.#warn = warn;
  }

  /** Has the next `show` tell Consul anew. */
  forget(): void {
    this.#shown = null;
  }

  /**
   * Puts the service into maintenance for this reason, or ends it with undefined. Asks nothing of
   * Consul that it has already. Never rejects; the caller repeats what failed.
   */
  async show(id: string, reason: string | undefined): Promise<void> {
    const text = reason?.slice(0, MAX_REASON);
    if (text === this.#shown) return;
    const what = text === undefined ? { enable: false } : { enable: true, reason: text };
    try {
      const request = { id, ...what, timeout: REQUEST_TIMEOUT_MS };
      await this.#consul.agent.service.maintenance(request);
      this.#shown = text;
    } catch (error) {
      this.#warn(`Consul did not take the maintenance: ${messageOf(error)}`);
    }
  }
}
