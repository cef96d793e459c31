/** Tells the URLs that callers named how their children have ended. */
import { setTimeout as pause } from "node:timers/promises";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import type { TerminalEvent } from "../../../openapi/events.ts";
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import { bytesOf, jsonPieces } from "../../../sdk/typescript/http/raw-json.ts";
import { type CheckedRequest, sendChecked } from "../../workspace/fetching/checked-request.ts";
import { allowsUrl, type FetchRules } from "../../workspace/fetching/fetch-rules.ts";
import type { EventLog } from "../output/event-log.ts";
import { partsOf } from "../output/partial-event.ts";
import { signedHeaders } from "./signature.ts";

/** 5 tries, some 1, 5, 25 and 125 seconds apart. */
const PAUSES_MS = [1_000, 5_000, 25_000, 125_000];
/** 10 s for each try. */
const TRY_TIMEOUT_MS = 10_000;
/** 1,000 notifications may wait for their delivery. */
const MAX_WAITING = 1_000;
/** 64 KiB: a notification has as much of a larger ending as fits. */
const MAX_BODY_BYTES = 65_536;

export interface NotifierOptions {
  /** The key of the signatures; undefined for a member that was started without one. */
  readonly secret: Buffer | undefined;
  log(message: string): void;
  readonly resolve?: CheckedRequest["resolve"];
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
  readonly secret: Buffer;
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
   *   operator does not allow, and without a key; `overloaded` while too many notifications wait.
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
    // A reload gives a pool URLs, but a member reads its key at its start alone.
    if (!this.#options.secret)
      throw PoolError.of(
        "forbidden",
        "notify: the member has to be started with `notifySecretFile`, and was not",
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
  tell(child: Ended, to: { readonly url: string } | undefined, rules: FetchRules): void {
    const { secret } = this.#options;
    if (!to || !secret) return;
    const { info, log } = child;
    const ending = log.terminal;
    if (!ending) return;
    const { url } = to;
    const { id } = info;
    const notification = { url, rules, secret, id: `msg_${id}`, body: bodyOf(info, ending) };
    const delivery = this.#deliver(notification).catch((error: unknown) =>
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

  /** Makes one try. Resolves with the status, a redirect's too. */
  async #post({ url, rules, secret, id, body }: Notification): Promise<number> {
    const answer = await sendChecked(new URL(url), {
      rules,
      resolve: this.#options.resolve,
      signal: AbortSignal.any([this.#closing.signal, AbortSignal.timeout(TRY_TIMEOUT_MS)]),
      fail: (code, why) => (code === "forbidden" ? PoolError.of(code, why) : new Error(why)),
      method: "POST",
      headers: {
        "content-type": "application/json",
        "user-agent": "distributed-pool",
        ...signedHeaders(secret, { id, body, atMs: Date.now() }),
      },
      body,
    });
    answer.destroy();
    return answer.statusCode ?? 0;
  }
}

/** A URL without its query, which may hold secrets. */
function shown(text: string): string {
  const { origin, pathname } = new URL(text);
  return `${origin}${pathname}`;
}

/**
 * The body: `type`, `timestamp` and `data`, as the specification recommends. The command stays out:
 * its arguments may hold secrets, and the receiver may not be its caller.
 */
function bodyOf({ command: _, ...child }: ChildInfo, ending: TerminalEvent): string {
  const bodies = [ending, ...partsOf(ending)].map((part) => {
    const message = { type: "child.ended", timestamp: child.endedAt };
    return jsonPieces({ ...message, data: { child, ending: part } }).map(bytesOf);
  });
  const fits = (pieces: readonly Uint8Array[]) =>
    pieces.reduce((sum, { length }) => sum + length, 0) <= MAX_BODY_BYTES;
  return Buffer.concat(bodies.find(fits) ?? bodies.at(-1) ?? []).toString();
}
