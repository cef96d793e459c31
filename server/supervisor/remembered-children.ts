/** Keeps children that have ended for a while: late readers find their events and artifacts. */
import type { HeldBytes } from "../http/bodies/held-bytes.ts";
import type { Child } from "./child.ts";

/** The most ended children of a pool, and the most bytes of their events and artifacts. */
const MAX_CHILDREN = 100;
const MAX_EVENT_BYTES = 32 * 1024 * 1024;
const MAX_ARTIFACT_BYTES = 1024 * 1024 * 1024;

/** 10,000 ids of forgotten children: their events have expired, other ids were never known. */
const MIN_FORGOTTEN_IDS = 10_000;

export class RememberedChildren {
  /** Each child with its timer, and the bytes of its events when it ended. */
  readonly #kept = new Map<Child, { readonly timer: NodeJS.Timeout; readonly bytes: number }>();
  /** At most so many bytes are in the events: a log shrinks when its last reader has left. */
  #maxEventBytes = 0;
  #artifactBytes = 0;
  /** The owners of forgotten children by the children's ids, and those of the ones before. */
  #forgotten = new Map<string, string>();
  #forgottenBefore = new Map<string, string>();
  readonly #onForget: (child: Child) => void;
  readonly #stopReclaiming: () => void;

  /**
   * @param heldBytes the account that takes children away when its bytes are needed.
   * @param onForget is called with each child that is no longer kept.
   */
  constructor(heldBytes: HeldBytes, onForget: (child: Child) => void) {
    this.#stopReclaiming = heldBytes.onFull((caller) => this.#forgetOldest(caller));
    this.#onForget = onForget;
  }

  /**
   * Keeps an ended child. Forgets the oldest ones beyond the bounds; the new one is kept whatever
   * its size, because its caller is still reading.
   *
   * @param rememberMs milliseconds until the child is forgotten.
   */
  add(child: Child, rememberMs: number): void {
    const timer = setTimeout(() => this.#forget(child), rememberMs).unref();
    const bytes = child.log.heldBytes;
    this.#kept.set(child, { timer, bytes });
    this.#maxEventBytes += bytes;
    this.#artifactBytes += child.artifacts?.bytes ?? 0;
    let eventBytes = this.#maxEventBytes;
    if (eventBytes > MAX_EVENT_BYTES) {
      eventBytes = 0;
      for (const { log } of this.#kept.keys()) eventBytes += log.heldBytes;
    }
    for (const oldest of this.#kept.keys()) {
      const isWithinBounds =
        this.#kept.size <= MAX_CHILDREN &&
        eventBytes <= MAX_EVENT_BYTES &&
        this.#artifactBytes <= MAX_ARTIFACT_BYTES;
      if (oldest === child || isWithinBounds) break;
      eventBytes -= oldest.log.heldBytes;
      this.#forget(oldest);
    }
  }

  /**
   * Forgets the oldest child, or the oldest one of a caller, because its bytes are needed. False
   * when there is none.
   */
  #forgetOldest(caller?: string): boolean {
    const children = [...this.#kept.keys()];
    const oldest = children.find(({ owner }) => caller === undefined || owner === caller);
    if (oldest) this.#forget(oldest);
    return oldest !== undefined;
  }

  /** The owner of a child that was kept and has been forgotten; undefined for another id. */
  ownerOfForgotten(id: string): string | undefined {
    return this.#forgotten.get(id) ?? this.#forgottenBefore.get(id);
  }

  /** Forgets all children. */
  close(): void {
    this.#stopReclaiming();
    for (const child of this.#kept.keys()) this.#forget(child);
  }

  #forget(child: Child): void {
    const { timer, bytes = 0 } = this.#kept.get(child) ?? {};
    clearTimeout(timer);
    this.#maxEventBytes -= bytes;
    this.#kept.delete(child);
    this.#artifactBytes -= child.artifacts?.bytes ?? 0;
    this.#forgotten.set(child.id, child.owner);
    // To delete the first entry of a large map again and again takes long.
    if (this.#forgotten.size >= MIN_FORGOTTEN_IDS) {
      this.#forgottenBefore = this.#forgotten;
      this.#forgotten = new Map();
    }
    this.#onForget(child);
  }
}
