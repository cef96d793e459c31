/** Counts the endings of the last 60 seconds, and the failures among them. */
export class Minute {
  #seconds = [];

  #at(second) {
    const slot = second % 60;
    if (this.#seconds[slot]?.second !== second)
      this.#seconds[slot] = { second, ended: 0, failed: 0 };
    return this.#seconds[slot];
  }

  add(time, failed, ended = 1) {
    const slot = this.#at(Math.floor(time / 1_000));
    slot.ended += ended;
    slot.failed += Number(failed);
  }

  /** @param time in milliseconds. */
  sums(time) {
    const first = Math.floor(time / 1_000) - 59;
    const recent = this.#seconds.filter((slot) => slot && slot.second >= first);
    const sum = (key) => recent.reduce((total, slot) => total + slot[key], 0);
    return { ended: sum("ended"), failed: sum("failed") };
  }
}
