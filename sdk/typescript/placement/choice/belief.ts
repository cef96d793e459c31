/** The belief of one client about the load of one member. */
import type { Load } from "../../../../openapi/errors.ts";

/** The answer to a request for an admission, or its failure. */
export interface Answered {
  readonly isAdmitted: boolean;
  /** The load in the answer. Default: the answer told none. */
  readonly told?: Load | undefined;
}

/** The part of the slots that is taken; 1 for a member that admits nothing. */
export const ratioOf = ({ active, max }: Load): number => (max > 0 ? active / max : 1);

/** All times are milliseconds of one clock. */
export class Belief {
  readonly name: string;
  /** When the member told its load, or when the last end of a child there was seen. */
  at: number;
  /** The place in the list of the members with a free slot; -1 for none. */
  index = -1;
  #told: Load | undefined;
  /** Children admitted less children ended, since the member told its load. */
  #since = 0;
  /** Requests without an answer yet. */
  #pending = 0;
  /** Since when the member has said nothing, while it owes an answer. */
  #silentSince = 0;

  constructor(name: string, now: number) {
    this.name = name;
    this.at = now;
  }

  /** The load, with the requests that have no answer yet. Undefined where none is known. */
  get load(): Load | undefined {
    if (!this.#told) return undefined;
    const active = Math.max(0, this.#told.active + this.#since) + this.#pending;
    return { ...this.#told, active };
  }

  /** For how many milliseconds the member has owed an answer without saying anything. */
  silentMs(now: number): number {
    return this.#pending > 0 ? now - this.#silentSince : 0;
  }

  told(load: Load, now: number): void {
    this.#told = load;
    this.#since = 0;
    this.at = now;
  }

  sent(now: number): void {
    if (this.#pending === 0) this.#silentSince = now;
    this.#pending += 1;
  }

  answered({ isAdmitted, told }: Answered, now: number): void {
    this.#pending = Math.max(0, this.#pending - 1);
    this.#silentSince = now;
    if (told) this.told(told, now);
    else if (isAdmitted) this.#since += 1;
    else this.#told = undefined;
  }

  ended(now: number): void {
    this.#since -= 1;
    this.at = now;
  }
}
