/** An account of bytes that requests hold at a time: all together, and each caller. */
import { PoolError } from "../../../openapi/errors.ts";

export interface HeldBytesOptions {
  /** The things that the bytes make, as a refusal names them, such as `requests`. */
  readonly what: string;
  /** The most bytes of all callers together. */
  maxBytes(): number;
  /** Whether callers are known by their tokens. Each may then hold at most half of the bytes. */
  readonly shared: boolean;
}

export class HeldBytes {
  readonly #options: HeldBytesOptions;
  readonly #byCaller = new Map<string, number>();
  readonly #reclaim = new Set<Reclaim>();
  #bytes = 0;

  constructor(options: HeldBytesOptions) {
    this.#options = options;
  }

  /** The bytes that are held now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether more is held than may be, because bytes were added that could not be refused. */
  get isFull(): boolean {
    return this.#bytes >= this.#options.maxBytes();
  }

  /**
   * Opens a holding of a caller. It has one holder, which releases it by {@link Holding.release}.
   *
   * @throws {PoolError} see {@link Holding.grow}.
   */
  open(caller: string, bytes = 0): Holding {
    const holding = new Holding({
      check: (more, whole) => this.#check(caller, more, whole),
      add: (more) => this.#add(caller, more),
      isFull: () => this.isFull,
    });
    holding.grow(bytes);
    return holding;
  }

  /**
   * Adds a way to get bytes back that are held for no more than convenience. Returns a function
   * that takes it away.
   */
  onFull(reclaim: Reclaim): () => void {
    this.#reclaim.add(reclaim);
    return () => void this.#reclaim.delete(reclaim);
  }

  /** @param whole all bytes of the holding, with those that are `more`. */
  #check(caller: string, more: number, whole: number): void {
    const { what, maxBytes, shared } = this.#options;
    const max = maxBytes();
    const share = Math.floor(max / 2);
    const most = shared ? share : max;
    if (whole > most)
      throw PoolError.of(
        "payload_too_large",
        `expected one of the ${what} to hold at most ${most} bytes; got ${whole}`,
        { admitted: false },
      );
    const own = () => this.#byCaller.get(caller) ?? 0;
    const isOverShare = () => shared && own() + more > share;
    const isOver = () => this.#bytes + more > max;
    for (const reclaim of this.#reclaim) {
      while (isOverShare() && reclaim(caller));
      while (isOver() && reclaim());
    }
    if (isOverShare())
      throw PoolError.of(
        "too_many_requests",
        `expected one caller's ${what} to hold at most ${share} bytes at a time; ` +
          `they hold ${own()}, and ${more} more came`,
        { admitted: false },
      );
    if (isOver())
      throw PoolError.of(
        "overloaded",
        `expected all ${what} to hold at most ${max} bytes at a time; ` +
          `they hold ${this.#bytes}, and ${more} more came`,
        { admitted: false },
      );
  }

  #add(caller: string, more: number): void {
    this.#bytes += more;
    const own = (this.#byCaller.get(caller) ?? 0) + more;
    if (own > 0) this.#byCaller.set(caller, own);
    else this.#byCaller.delete(caller);
  }
}

/**
 * Gives bytes back, those of one caller or of any. False when nothing is left that can be given.
 */
export type Reclaim = (caller?: string) => boolean;

interface Account {
  check(more: number, whole: number): void;
  add(more: number): void;
  isFull(): boolean;
}

/** The bytes of one request, or of one child, until their last holder releases them. */
export class Holding {
  readonly #account: Account;
  #bytes = 0;
  #holders = 1;

  constructor(account: Account) {
    this.#account = account;
  }

  /**
   * Holds more bytes.
   *
   * @throws {PoolError} `payload_too_large` for a holding that can never have room;
   *   `too_many_requests` when the caller would hold more than its share; `overloaded` when all
   *   callers together would hold too much. Nothing has changed then.
   */
  grow(bytes: number): void {
    if (bytes > 0) this.#account.check(bytes, this.#bytes + bytes);
    this.set(this.#bytes + bytes);
  }

  /** See {@link HeldBytes.isFull}. */
  get isFull(): boolean {
    return this.#account.isFull();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Holds this many bytes, whether or not there is room. */
  set(bytes: number): void {
    const now = this.#holders > 0 ? bytes : 0;
    this.#account.add(now - this.#bytes);
    this.#bytes = now;
  }

  /** Adds a holder. Returns a function that releases it; a repeated call changes nothing. */
  hold(): () => void {
    this.#holders += 1;
    let isHolder = true;
    return () => {
      if (isHolder) this.release();
      isHolder = false;
    };
  }

  /** Releases one holder. */
  release(): void {
    this.#holders -= 1;
    if (this.#holders === 0) this.set(0);
  }
}
