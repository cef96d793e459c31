/** The options of what a handle on a child does. */

export interface EventsOptions {
  /** The id of an event: only later ones are read. Default: from the first one that is kept. */
  readonly after?: number;
  /** Ends the reading. */
  readonly signal?: AbortSignal;
}

export interface ResultOptions {
  /** Milliseconds to wait for the end of a child that runs, at most 25,000. Default 0. */
  readonly waitMs?: number | undefined;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

export interface StopOptions {
  /** Milliseconds between TERM and KILL; 0 kills at once. Default: the member's (5,000). */
  readonly graceMs?: number | undefined;
}

export interface WriteOptions {
  /** Closes the input behind the data. Default false. */
  readonly end?: boolean;
  /** Ends the writing. The child keeps the bytes that it has taken. */
  readonly signal?: AbortSignal;
}
