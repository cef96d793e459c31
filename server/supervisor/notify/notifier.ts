/** Tells the URLs that callers named how their children have ended. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { request as secureRequest } from "node:https";
import { setTimeout as pause } from "node:timers/promises";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { TerminalEvent } from "../../../openapi/events.ts";
import type { ChildInfo } from "../../../openapi/schemas/resources.ts";
import { jsonText } from "../../../sdk/typescript/http/raw-json.ts";
import {
  checkedLookup,
  checkHost,
  type LookupOptions,
} from "../../workspace/fetching/checked-lookup.ts";
import { allowsUrl, type FetchRules } from "../../workspace/fetching/fetch-rules.ts";
import type { EventLog } from "../output/event-log.ts";
import { signedHeaders } from "./signature.ts";

/** 5 tries, some 1, 5, 25 and 125 seconds apart. */
const PAUSES_MS = [1_000, 5_000, 25_000, 125_000];
/** 10 s for each try. */
const TRY_TIMEOUT_MS = 10_000;
/** 1,000 notifications may wait for their delivery. */
const MAX_WAITING = 1_000;
/** 64 KiB: a larger ending is left out of its notification. */
const MAX_BODY_BYTES = 65_536;

export interface NotifierOptions {
  /** The key of the signatures; undefined where no pool allows notifications. */
  readonly secret: Buffer | undefined;
  log(message: string): void;
  readonly resolve?: LookupOptions["resolve"];
}

/** A child that has ended. */
interface Ended {
  readonly info: ChildInfo;
  readonly log: Pick<EventLog, "terminal">;
}

/** A message that waits for its delivery. It holds the body alone: an ending may have 16 MiB. */
interface Notification {
  readonly url: string;
  readonly rules: FetchRules;
  readonly id: string;
  readonly body: string;
}

export class Notifier {
  readonly #options: NotifierOptions;
  readonly #closing = new AbortController();
  readonly #waiting = new Set<Promise<void>>();

  constructor(options: NotifierOptions) {
    this.#options = options;
  }

  /**
   * Checks that a child may name this URL.
   *
   * @throws {PoolError} `invalid_request` for a URL with a user; `forbidden` for one that the
   *   operator does not allow; `overloaded` while too many notifications wait.
   */
  check(text: string, rules: FetchRules): void {
    const url = new URL(text);
    if (url.username !== "" || url.password !== "")
      throw PoolError.of(
        "invalid_request",
        "/notify/url: expected a URL without user and password",
      );
    if (!allowsUrl(rules, url))
      throw PoolError.of(
        "forbidden",
        `notify: the pool's operator has to allow ${shown(text)} in its option \`notify\`, ` +
          "and does not",
      );
    if (this.#waiting.size >= MAX_WAITING)
      throw PoolError.of(
        "overloaded",
        `expected fewer than ${MAX_WAITING} notifications that wait for their delivery`,
        { admitted: false },
      );
  }

  /**
   * Tells how a child has ended, in the background. A failure is logged after the last try.
   *
   * @param to the URL that its caller named; undefined for none.
   * @param rules the operator's rules for the URL and its addresses.
   */
  tell({ info, log }: Ended, to: { readonly url: string } | undefined, rules: FetchRules): void {
    const ending = log.terminal;
    if (!to || !ending) return;
    const { url } = to;
    const { id } = info;
    const body = bodyOf(info, ending);
    const delivery = this.#deliver({ url, rules, id: `msg_${id}`, body }).catch((error: unknown) =>
      this.#options.log(`child ${id}: ${shown(url)} was not notified: ${messageOf(error)}`),
    );
    this.#waiting.add(delivery);
    void delivery.then(() => this.#waiting.delete(delivery));
  }

  /** Resolves when nothing waits. */
  async settled(): Promise<void> {
    while (this.#waiting.size > 0) await Promise.all(this.#waiting);
  }

  /** Ends all deliveries; each is logged. */
  async close(): Promise<void> {
    this.#closing.abort(new Error("the member ends"));
    await this.settled();
  }

  async #deliver(notification: Notification): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        const status = await this.#post(notification);
        // 410 is the receiver's word that it wants no more of these.
        if (status === 410 || (status >= 200 && status < 300)) return;
        throw new Error(`expected a status of 2xx; got ${status}`);
      } catch (error) {
        const pauseMs = PAUSES_MS[tries];
        const isFinal = error instanceof PoolError || this.#closing.signal.aborted;
        if (isFinal || pauseMs === undefined) throw error;
        const { signal } = this.#closing;
        await pause(pauseMs * (0.75 + Math.random() / 2), undefined, { signal }).catch(() => {
          throw error;
        });
      }
    }
  }

  /** Makes one try, on a connection of its own. Resolves with the status, a redirect's too. */
  async #post({ url: text, rules, id, body }: Notification): Promise<number> {
    const { secret, resolve } = this.#options;
    const url = new URL(text);
    const fail: LookupOptions["fail"] = (code, why) =>
      code === "forbidden" ? PoolError.of(code, why) : new Error(why);
    const checked = { rules, resolve, fail };
    checkHost(url, checked);
    const signal = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(TRY_TIMEOUT_MS)]);
    const asked = (url.protocol === "https:" ? secureRequest : request)(url, {
      method: "POST",
      agent: false,
      lookup: checkedLookup(checked),
      signal,
      headers: {
        "content-type": "application/json",
        "user-agent": "distributed-pool",
        ...signedHeaders(secret ?? Buffer.alloc(0), { id, body, atMs: Date.now() }),
      },
    });
    const answered = once(asked, "response");
    asked.end(body);
    const [answer] = (await answered) as [IncomingMessage];
    asked.on("error", () => {});
    answer.on("error", () => {});
    answer.destroy();
    return answer.statusCode ?? 0;
  }
}

/** A URL without its query, which may hold secrets. */
function shown(text: string): string {
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}

/** The body: `type`, `timestamp` and `data`, as the specification recommends. */
function bodyOf(child: ChildInfo, ending: TerminalEvent): string {
  const message = { type: "child.ended", timestamp: child.endedAt };
  const body = String(jsonText({ ...message, data: { child, ending } }));
  return Buffer.byteLength(body) <= MAX_BODY_BYTES
    ? body
    : JSON.stringify({ ...message, data: { child, ending: null } });
}
