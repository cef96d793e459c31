/** Draws in the frames of the browser: data every so often, what people do at once. */

export class Frames {
  #draw;
  #everyMs;
  #frame;
  #timer;
  #last = Number.NEGATIVE_INFINITY;

  /** @param everyMs the least time between two drawings of data, in milliseconds. */
  constructor(draw, everyMs = 100) {
    this.#draw = draw;
    this.#everyMs = everyMs;
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

  /** Draws within `everyMs`, once for all changes until then. */
  later() {
    if (this.#frame !== undefined || this.#timer !== undefined) return;
    const waitMs = this.#last + this.#everyMs - performance.now();
    if (waitMs <= 0) this.soon();
    else this.#timer = setTimeout(() => this.soon(), waitMs);
  }
}
