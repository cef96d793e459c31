/** Draws in the frames of the browser: the feed at most 10 times a second, people at once. */

const DATA_MS = 100;

export class Frames {
  #draw;
  #frame;
  #timer;
  #last = Number.NEGATIVE_INFINITY;

  constructor(draw) {
    this.#draw = draw;
  }

  /** Draws in the next frame. */
  soon() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#frame ??= requestAnimationFrame((time) => {
      this.#frame = undefined;
      this.#last = time;
      this.#draw();
    });
  }

  /** Draws within 100 ms, once for all changes until then. */
  later() {
    if (this.#frame !== undefined || this.#timer !== undefined) return;
    const waitMs = this.#last + DATA_MS - performance.now();
    if (waitMs <= 0) this.soon();
    else this.#timer = setTimeout(() => this.soon(), waitMs);
  }
}
