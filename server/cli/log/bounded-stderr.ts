/** Stderr as the log writes it: a reader that has stopped costs a bound of memory, and no time. */

/** 1 MiB of lines that their reader has not taken. Further lines are dropped, and counted. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** The part of a stream that this file needs. A stream to a file has no length that waits. */
export interface Target {
  readonly writableLength?: number;
  write(text: string): boolean;
  once(event: "drain", listener: () => void): unknown;
}

export class BoundedStderr {
  readonly #target: Target;
  readonly #onDrops: (dropped: number) => void;
  #dropped = 0;

  /** @param onDrops is called once the reader takes lines again. It may write one itself. */
  constructor(target: Target, onDrops: (dropped: number) => void) {
    this.#target = target;
    this.#onDrops = onDrops;
  }

  write(lines: string): void {
    if (this.#dropped === 0 && !isFull(this.#target)) this.#target.write(lines);
    else {
      if (this.#dropped === 0) this.#target.once("drain", this.#drained);
      this.#dropped += lines.split("\n").length - 1;
    }
  }

  #drained = (): void => {
    const dropped = this.#dropped;
    this.#dropped = 0;
    this.#onDrops(dropped);
  };
}

const isFull = ({ writableLength = 0 }: Target) => writableLength > MAX_WAITING_BYTES;
