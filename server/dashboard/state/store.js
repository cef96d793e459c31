/** The state that the feed tells, and a picture of it for each frame. */
import { now } from "../net/session.js";
import { Minute } from "./minute.js";

/** Children that have ended and are still shown. The oldest go first, 500 at a time. */
const MAX_ENDED = 5_000;
const EVICTED = 500;

export const keyOf = (pool, member) => `${pool} ${member}`;

export class Store {
  members = new Map();
  /** By pool and member: `{ active, max, queued, warm, oldestAt }`. */
  loads = new Map();
  children = new Map();
  /** By pool and member: the children that hold a slot, by id. */
  busy = new Map();
  minute = new Minute();
  /** `{ state: "opening" | "live" | "waiting", detail }` */
  link = { state: "opening" };
  isSynced = false;
  codes = new Set();
  #ended = new Set();
  #sorted = [];
  #isSorted = true;
  #stale = new Map();
  #changed;

  /** @param changed is called after each change. */
  constructor(changed) {
    this.#changed = changed;
  }

  connection(link) {
    this.link = link;
    this.#changed();
  }

  apply(event) {
    this.#take[event.type]?.(event);
    this.#changed();
  }

  /** A reset makes the known state doubtful: it goes when the new state does not have it. */
  #take = {
    reset: ({ member }) => {
      for (const map of [this.members, this.loads, this.children])
        for (const [key, value] of map)
          if (member === undefined || value.member === member) this.#stale.set(value, [map, key]);
    },
    synced: ({ member }) => {
      for (const [value, [map, key]] of this.#stale) {
        if (member !== undefined && value.member !== member) continue;
        this.#stale.delete(value);
        if (map.get(key) !== value || value.status === "ended") continue;
        map.delete(key);
        if (map === this.children) this.#forget(value);
      }
      this.isSynced ||= member === undefined;
    },
    member: ({ type: _, ...member }) =>
      member.state === "left" ? this.#leave(member) : this.members.set(member.member, member),
    load: ({ pool, member, load, warm }) => this.#load(pool, member, { ...load, warm }),
    queue: ({ pool, member, queued, oldestAt }) => this.#load(pool, member, { queued, oldestAt }),
    child: (event) => this.#child(event),
  };

  /** Forgets a member and its running children. Those that ended stay in the table. */
  #leave({ member: name }) {
    for (const map of [this.members, this.loads, this.children])
      for (const [key, value] of map)
        if (value.member === name && value.status !== "ended") map.delete(key);
    for (const key of this.busy.keys()) if (key.endsWith(` ${name}`)) this.busy.delete(key);
    this.#isSorted = false;
  }

  #load(pool, member, fields) {
    const key = keyOf(pool, member);
    this.loads.set(key, { pool, member, ...this.loads.get(key), ...fields });
  }

  #child({ change, child, waitedMs }) {
    const known = this.children.get(child.id);
    // An ending is final: a repeated older event does not undo it.
    if (known?.status === "ended" && child.status !== "ended") return;
    const entry = { ...child, waitedMs: waitedMs ?? known?.waitedMs };
    this.children.set(child.id, entry);
    if (!known) this.#add(entry);
    const key = keyOf(child.pool, child.member);
    if (child.status === "ended") {
      this.busy.get(key)?.delete(child.id);
      if (child.code) this.codes.add(child.code);
      if (change === "ended" && known?.status !== "ended" && this.isSynced)
        this.minute.add(now(), child.code !== null);
      this.#ended.add(child.id);
      if (this.#ended.size > MAX_ENDED + EVICTED) this.#evict();
      return;
    }
    if (!this.busy.has(key)) this.busy.set(key, new Map());
    this.busy.get(key).set(child.id, entry);
  }

  #add(entry) {
    const last = this.#sorted.at(-1);
    if (last && last.startedAt > entry.startedAt) this.#isSorted = false;
    this.#sorted.push(entry);
  }

  #forget({ id, pool, member }) {
    this.busy.get(keyOf(pool, member))?.delete(id);
    this.#isSorted = false;
  }

  #evict() {
    let left = EVICTED;
    for (const id of this.#ended) {
      if (left-- === 0) break;
      this.#ended.delete(id);
      this.children.delete(id);
    }
    this.#isSorted = false;
  }

  /** The children, the oldest first. */
  sorted() {
    if (!this.#isSorted) {
      this.#sorted = [...this.children.values()].sort((a, b) =>
        a.startedAt < b.startedAt ? -1 : a.startedAt > b.startedAt ? 1 : 0,
      );
      this.#isSorted = true;
    }
    return this.#sorted;
  }

  /** The child as it is now, for an entry of {@link sorted}, which may be older. */
  fresh(entry) {
    return this.children.get(entry.id) ?? entry;
  }
}
