/** Keeps children that have ended for a while: late readers find their events and artifacts. */
import type { Child } from "./child.ts";

/** The most ended children of a pool, and the most bytes of their events and artifacts. */
const MAX_CHILDREN = 100;
const MAX_EVENT_BYTES = 32 * 1024 * 1024;
const MAX_ARTIFACT_BYTES = 1024 * 1024 * 1024;

/** 10,000 ids of forgotten children: their events have expired, other ids were never known. */
const MAX_FORGOTTEN_IDS = 10_000;

export class RememberedChildren {
  readonly #timers = new Map<Child, NodeJS.Timeout>();
  /** The owners of forgotten children by the children's ids. */
  readonly #forgotten = new Map<string, string>();
  readonly #onForget: (child: Child) => void;

  /** @param onForget is called with each child that is no longer kept. */
  constructor(onForget: (child: Child) => void) {
    this.#onForget = onForget;
  }

  /**
   * Keeps an ended child. Forgets the oldest ones beyond the bounds; the new one is kept whatever
   * its size, because its caller is still reading.
   *
   * @param rememberMs milliseconds until the child is forgotten.
   */
  add(child: Child, rememberMs: number): void {
    this.#timers.set(child, setTimeout(() => this.#forget(child), rememberMs).unref());
    const children = [...this.#timers.keys()];
    let eventBytes = children.reduce((sum, { log }) => sum + log.heldBytes, 0);
    let artifactBytes = children.reduce((sum, { artifacts }) => sum + (artifacts?.bytes ?? 0), 0);
    for (const oldest of children) {
      const isWithinBounds =
        this.#timers.size <= MAX_CHILDREN &&
        eventBytes <= MAX_EVENT_BYTES &&
        artifactBytes <= MAX_ARTIFACT_BYTES;
      if (oldest === child || isWithinBounds) break;
      eventBytes -= oldest.log.heldBytes;
      artifactBytes -= oldest.artifacts?.bytes ?? 0;
      this.#forget(oldest);
    }
  }

  /** The owner of a child that was kept and has been forgotten; undefined for another id. */
  ownerOfForgotten(id: string): string | undefined {
    return this.#forgotten.get(id);
  }

  /** Forgets all children. */
  clear(): void {
    for (const child of [...this.#timers.keys()]) this.#forget(child);
  }

  #forget(child: Child): void {
    clearTimeout(this.#timers.get(child));
    this.#timers.delete(child);
    child.close();
    this.#forgotten.set(child.id, child.info.owner);
    if (this.#forgotten.size > MAX_FORGOTTEN_IDS)
      this.#forgotten.delete(this.#forgotten.keys().next().value as string);
    this.#onForget(child);
  }
}
