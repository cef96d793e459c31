/** The places of a line, in their order. Joining and leaving take the same time in any line. */
import { PoolError } from "../../../../openapi/errors.ts";
import type { Member } from "../members.ts";

/** A caller that waits for a slot. */
export interface WaitingCaller {
  /** The members that cannot serve the caller, by name. They do not change while it waits. */
  readonly unfit: ReadonlyMap<string, unknown>;
  /** Called with the caller's position, 1 for the next to be served: first, and when it changes. */
  readonly onPosition?: ((position: number) => void) | undefined;
}

/** A slot that waits for its caller to take it. */
export interface GrantedSlot {
  readonly member: Member;
  readonly slot: string;
  /** Ends the hold. To be called once; a slot that no child took is given back. */
  settle(isTaken: boolean): void;
}

export interface Place {
  readonly caller: WaitingCaller;
  /** In milliseconds of `performance.now()`. */
  readonly since: number;
  /** Ends the wait: with a slot, or with an error, or without both when its time is over. */
  end(outcome?: GrantedSlot | { readonly error: unknown }): void;
}

export class Places {
  #places = new Set<Place>();
  /** Places that the members' queues may have no room for. */
  #newcomers = new Set<Place>();
  /** The places that a member cannot serve, by its name. */
  readonly #unfit = new Map<string, number>();
  /** The positions that the callers were told. */
  readonly #told = new WeakMap<Place, number>();

  get size(): number {
    return this.#places.size;
  }

  /** Puts a place at the end, or at the front. */
  add(place: Place, isFirst: boolean): void {
    if (isFirst) this.#places = new Set([place, ...this.#places]);
    else this.#places.add(place);
    this.#newcomers.add(place);
    this.#count(place, 1);
  }

  /** False for a place that is not in the line. */
  remove(place: Place): boolean {
    if (!this.#places.delete(place)) return false;
    this.#newcomers.delete(place);
    this.#count(place, -1);
    return true;
  }

  /** The number of callers that the member can serve. */
  servedBy({ name }: Member): number {
    return this.size - (this.#unfit.get(name) ?? 0);
  }

  /** The first caller that the member can serve. */
  firstFor({ name }: Member): Place | undefined {
    for (const place of this.#places) if (!place.caller.unfit.has(name)) return place;
    return undefined;
  }

  /** Ends the waits for which a reason is given. */
  endEach(errorOf: (place: Place) => unknown): void {
    for (const place of this.#places) {
      const error = errorOf(place);
      if (error !== undefined) place.end({ error });
    }
  }

  /** Ends the waits of the last `excess` newcomers. The others are none from then on. */
  admitNewcomers(excess: number, errorOf: () => unknown): void {
    const newcomers = [...this.#newcomers];
    this.#newcomers = new Set();
    if (excess <= 0) return;
    for (const place of newcomers.slice(-excess)) place.end({ error: errorOf() });
  }

  /** Tells the last caller its position, when the first one has this one. */
  tellLast(place: Place, first: number): void {
    this.#tell(place, first + this.size - 1);
  }

  /** Tells all callers their positions. */
  tellAll(first: number): void {
    let position = first;
    for (const place of this.#places) this.#tell(place, position++);
  }

  #tell(place: Place, position: number): void {
    if (position === Number.POSITIVE_INFINITY || position === this.#told.get(place)) return;
    this.#told.set(place, position);
    place.caller.onPosition?.(position);
  }

  #count({ caller }: Place, by: number): void {
    for (const name of caller.unfit.keys())
      this.#unfit.set(name, (this.#unfit.get(name) ?? 0) + by);
  }
}

/** The refusal of a caller for whom no member's queue has room. */
export function atCapacity(pool: string, cause?: PoolError): PoolError {
  const detail = `pool ${pool}: its members are at capacity, and so are their queues`;
  return PoolError.of("all_members_at_capacity", detail, { cause });
}
