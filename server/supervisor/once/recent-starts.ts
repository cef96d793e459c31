/**
 * Remembers which children were started by requests of late. A client that lost the answer to a
 * request sends it again to the same member, and gets the same child.
 */
import { PoolError } from "../../../openapi/errors.ts";

/** 30 seconds: a client gives a try 10 seconds, repeats included. */
const REMEMBER_MS = 30_000;
/** Requests that are remembered, of one caller and of all callers. */
const MAX_OF_CALLER = 5_000;
const MAX = 50_000;

/** `BOOT.ID.N`: the process that the client meant, its own id, and how often it has sent it. */
const REQUEST_ID = /^([0-9a-f]{16})\.([0-9a-f-]{32,36})\.([0-9]{1,2})$/;

interface Request {
  readonly client: string;
  readonly expiresAt: number;
  /** The highest number with which the request came. */
  attempt: number;
  /** The id of the child that it started; undefined once it was refused. */
  child: Promise<string> | undefined;
}

export class RecentStarts {
  readonly #boot: string;
  readonly #max: { readonly ofCaller: number; readonly all: number };
  /** In the order of their arrival. */
  readonly #requests = new Map<string, Request>();
  readonly #countOf = new Map<string, number>();
  /** Until when a repeated request may have come before, and was not remembered, by caller. */
  readonly #incompleteUntil = new Map<string, number>();

  /** @param boot names this process, among all that had the member's name. */
  constructor(boot: string, max = { ofCaller: MAX_OF_CALLER, all: MAX }) {
    this.#boot = boot;
    this.#max = max;
  }

  /**
   * Starts a child, unless the same request has started one.
   *
   * @param header the value of the request's header; undefined for a request that is not repeated.
   * @param start starts the child, and resolves with its id.
   * @returns the id of the child, and whether an earlier request started it.
   * @throws {PoolError} the refusal of `start`; `member_lost` for a repeated request whose first
   *   one this process may have forgotten; `invalid_request` for another header.
   */
  async once(
    client: string,
    header: string | undefined,
    start: () => Promise<string>,
  ): Promise<{ readonly child: string; readonly isRepeat: boolean }> {
    if (header === undefined) return { child: await start(), isRepeat: false };
    const [, boot, id = "", number = ""] = REQUEST_ID.exec(header) ?? [];
    if (boot === undefined)
      throw PoolError.of("invalid_request", "pool-request-id: expected BOOT.ID.N");
    this.#forgetOld();
    const attempt = Number(number);
    const name = `${client} ${id}`;
    const known = this.#requests.get(name);
    if (known) {
      if (known.child) return { child: await known.child, isRepeat: true };
      if (attempt < known.attempt) throw outdated();
    } else if (attempt > 0 && !this.#isComplete(boot, client)) throw unknownOutcome();
    const request = known ?? this.#remember(name, client);
    if (!request) return { child: await start(), isRepeat: false };
    request.attempt = attempt;
    request.child = start();
    try {
      return { child: await request.child, isRepeat: false };
    } catch (error) {
      request.child = undefined;
      throw error;
    }
  }

  /** Whether each request of the caller is remembered that this process got of late. */
  #isComplete(boot: string, client: string): boolean {
    return boot === this.#boot && !this.#incompleteUntil.has(client);
  }

  /** Remembers one more request. Beyond the bounds, notes that it is not remembered. */
  #remember(name: string, client: string): Request | undefined {
    const expiresAt = performance.now() + REMEMBER_MS;
    const count = this.#countOf.get(client) ?? 0;
    if (count >= this.#max.ofCaller || this.#requests.size >= this.#max.all) {
      // Inserted again, so that the first one is the oldest.
      this.#incompleteUntil.delete(client);
      if (this.#incompleteUntil.size < this.#max.all) this.#incompleteUntil.set(client, expiresAt);
      return undefined;
    }
    this.#countOf.set(client, count + 1);
    const request = { client, expiresAt, attempt: 0, child: undefined };
    this.#requests.set(name, request);
    return request;
  }

  #forgetOld(): void {
    const now = performance.now();
    for (const [client, until] of this.#incompleteUntil) {
      if (until > now) break;
      this.#incompleteUntil.delete(client);
    }
    for (const [name, { client, expiresAt }] of this.#requests) {
      if (expiresAt > now) return;
      this.#requests.delete(name);
      const count = (this.#countOf.get(client) as number) - 1;
      if (count === 0) this.#countOf.delete(client);
      else this.#countOf.set(client, count);
    }
  }
}

const unknownOutcome = () =>
  PoolError.of(
    "member_lost",
    "the request was sent before, and this process does not know whether it started a child",
    { admitted: "unknown" },
  );

/** A request that was on its way while its client sent it again. Its answer is not read. */
const outdated = () =>
  PoolError.of("cancelled", "the request was sent again, and refused then", { admitted: false });
