/**
 * The feed of this member: what happens to its children, loads and queues. It costs nothing while
 * nobody watches, and for each change one short note otherwise. Ten times a second the notes become
 * events, which all readers share.
 */
import { isDeepStrictEqual } from "node:util";
import { randomDigits } from "../../../openapi/names.ts";
import type { Child } from "../child.ts";
import type { ChildObserver, ObservedChild } from "../observed/observer.ts";
import type { Supervisors } from "../this-member.ts";
import {
  type ChildEvent,
  childEntry,
  type FeedEntry,
  type LoadEvent,
  type MemberEvent,
  memberEntry,
  poolEntry,
  type QueueEvent,
} from "./entry.ts";
import { FeedLog } from "./log.ts";

/** 100 ms of changes become one batch. */
const BATCH_MS = 100;
/** Children that run are measured every 2 s, 100 at a time. Each has its turn. */
const MEASURE_MS = 2_000;
const MAX_MEASURED = 100;
/** 60 s after its last reader, the feed forgets its events. A reader may resume until then. */
const LINGER_MS = 60_000;

/** A change of a child that has not become an event yet. */
interface Note {
  readonly child: ObservedChild;
  change: ChildEvent["change"];
  waitedMs?: number;
}

export interface HubOptions {
  /** The facts of this member, as they are now. */
  facts(): MemberEvent;
  supervisors(): Supervisors;
}

export class FeedHub implements ChildObserver {
  readonly log = new FeedLog();
  /** Names the log. Another process has another one. */
  readonly epoch = randomDigits();
  readonly #over = new AbortController();
  /** Aborts when the last children have ended, and the member is about to leave. */
  readonly over: AbortSignal = this.#over.signal;
  readonly #options: HubOptions;
  /** The latest change of each child; undefined while nobody watches. */
  #notes: Map<string, Note> | undefined;
  /** The facts of the pools and of the member that readers have. */
  #known = new Map<string, LoadEvent | QueueEvent | MemberEvent>();
  #readers = 0;
  #timer: NodeJS.Timeout | undefined;
  #measureTimer: NodeJS.Timeout | undefined;
  /** The place of the next child to be measured. */
  #nextMeasured = 0;
  #linger: NodeJS.Timeout | undefined;

  constructor(options: HubOptions) {
    this.#options = options;
  }

  /** Begins to keep events. @returns a function that ends it, to be called once. */
  watch(): () => void {
    this.#readers += 1;
    clearTimeout(this.#linger);
    if (!this.#notes) {
      this.#notes = new Map();
      this.#known = new Map();
      this.#changedFacts();
      this.#timer = setInterval(() => this.#tick(), BATCH_MS).unref();
      this.#measureTimer = setInterval(() => this.#measure(), MEASURE_MS).unref();
    }
    return () => {
      this.#readers -= 1;
      if (this.#readers > 0) return;
      this.#linger = setTimeout(() => this.close(), LINGER_MS).unref();
    };
  }

  /** Tells the last changes, and ends the feeds of this member. */
  end(): void {
    this.#tick();
    this.#over.abort();
  }

  /** The state is complete at any time. */
  settled(): Promise<void> {
    return Promise.resolve();
  }

  /** Forgets the events, and keeps no more. */
  close(): void {
    clearInterval(this.#timer);
    clearInterval(this.#measureTimer);
    clearTimeout(this.#linger);
    this.#notes = undefined;
    this.log.clear();
    this.log.wake();
  }

  /** The state of now, of the member, its pools and its children. */
  *state(): Generator<FeedEntry, void, undefined> {
    const { facts, supervisors } = this.#options;
    const member = facts();
    yield memberEntry(member);
    for (const event of [...this.#pools(member.member)]) yield poolEntry(event);
    for (const supervisor of [...supervisors().values()])
      for (const child of supervisor.all) {
        child.measure();
        const { info } = child;
        const change = info.status === "running" ? "placed" : info.status;
        yield childEntry({ change, child: info });
      }
  }

  placed(child: ObservedChild, waitedMs: number): void {
    this.#notes?.set(child.id, {
      child,
      change: "placed",
      waitedMs: Math.round(waitedMs * 1e3) / 1e3,
    });
  }

  progressed(child: ObservedChild): void {
    this.#note(child, "progress");
  }

  stopping(child: ObservedChild): void {
    this.#note(child, "stopping");
  }

  ended(child: ObservedChild): void {
    this.#note(child, "ended");
  }

  #note(child: ObservedChild, change: Note["change"]): void {
    const note = this.#notes?.get(child.id);
    if (!note) this.#notes?.set(child.id, { child, change });
    // A child that has just been placed is new to the readers, whatever its progress.
    else if (change !== "progress") note.change = change;
  }

  #measure(): void {
    const all = [...this.#options.supervisors().values()].flatMap((each) => each.all);
    let [seen, measured] = [0, 0];
    for (; seen < all.length && measured < MAX_MEASURED; seen++) {
      const child = all[(this.#nextMeasured + seen) % all.length] as Child;
      if (!child.measure()) continue;
      measured += 1;
      this.progressed(child);
    }
    this.#nextMeasured = (this.#nextMeasured + seen) % Math.max(1, all.length);
  }

  #tick(): void {
    const notes = this.#notes;
    if (!notes) return;
    const entries = this.#changedFacts();
    this.#notes = new Map();
    for (const { child, ...rest } of notes.values())
      entries.push(childEntry({ ...rest, child: child.info }));
    this.log.append(entries);
  }

  #changedFacts(): FeedEntry[] {
    const facts = this.#options.facts();
    const entries: FeedEntry[] = [];
    if (this.#isNew("member", facts)) entries.push(memberEntry(facts));
    for (const event of this.#pools(facts.member))
      if (this.#isNew(`${event.type} ${event.pool}`, event)) entries.push(poolEntry(event));
    return entries;
  }

  #isNew(key: string, event: LoadEvent | QueueEvent | MemberEvent): boolean {
    if (isDeepStrictEqual(this.#known.get(key), event)) return false;
    this.#known.set(key, event);
    return true;
  }

  *#pools(member: string): Generator<LoadEvent | QueueEvent, void, undefined> {
    for (const [pool, supervisor] of this.#options.supervisors()) {
      const load = supervisor.count();
      const { warm, reusable } = supervisor.options.runtimes.idle;
      const idle = Object.values(warm).reduce((sum, each) => sum + each, reusable);
      yield { type: "load", member, pool, load, ...(idle > 0 && { warm: idle }) };
      const oldestMs = load.queued > 0 ? supervisor.slots.oldestMs() : undefined;
      const oldestAt = oldestMs === undefined ? null : isoOf(oldestMs);
      yield { type: "queue", member, pool, queued: load.queued, oldestAt };
    }
  }
}

/** A time of `performance.now()` as a date. */
const isoOf = (ms: number) => new Date(performance.timeOrigin + ms).toISOString();
