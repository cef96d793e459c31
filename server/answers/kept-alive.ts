/**
 * Keeps an answer of JSON alive while its child is silent. Proxies and clients cut a connection on
 * which nothing comes, and white space in front of JSON means nothing.
 *
 * The head waits for half a heartbeat, so that a child which fails sooner is answered with the
 * status of its problem. Then the head goes out with 200, and names the child.
 */
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { NodeContext } from "../http/request.ts";
import { cutOff, isOver, onOver } from "../http/response.ts";
import { beat } from "./events.ts";
import { UNBUFFERED } from "./send.ts";

const HEADERS = { "content-type": "application/json", ...UNBUFFERED };

export class KeptAlive {
  readonly #c: NodeContext;
  readonly #timer: NodeJS.Timeout;
  #isOpen = false;

  constructor(c: NodeContext) {
    this.#c = c;
    const { env } = c;
    this.#timer = setTimeout(() => this.#open(), c.get("heartbeatMs") / 2);
    onOver(env.outgoing, () => clearTimeout(this.#timer));
  }

  /** Whether the head has been sent. It stays as it is from this call on. */
  get isOpen(): boolean {
    clearTimeout(this.#timer);
    return this.#isOpen;
  }

  /** Ends an answer whose head has been sent. @param json without it the connection is cut. */
  end(json?: string | Uint8Array): Response {
    const { outgoing } = this.#c.env;
    if (json === undefined) cutOff(outgoing);
    else outgoing.end(json);
    return RESPONSE_ALREADY_SENT;
  }

  #open(): void {
    const { outgoing } = this.#c.env;
    if (isOver(outgoing)) return;
    this.#isOpen = true;
    outgoing.writeHead(200, HEADERS);
    outgoing.write("\n");
    beat(this.#c, () => !outgoing.writableEnded && outgoing.write("\n"));
  }
}
