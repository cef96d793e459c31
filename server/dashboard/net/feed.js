/** Follows the feed of the pools, over cuts, and at another member when this one is gone. */
import { learnCaller, send } from "./api.js";
import { continueElsewhere } from "./elsewhere.js";
import { session } from "./session.js";
import { events, pause } from "./sse.js";

const MAX_PAUSE_MS = 3_000;
/** After 4 seconds without an answer, the page looks for another member. */
const GONE_MS = 4_000;
/** A hidden page stops reading after a minute: browsers allow few connections to one origin. */
const HIDDEN_MS = 60_000;

/**
 * Reads the feed into the store until the signal aborts, or a token is needed.
 *
 * @param store gets each event, and the state of the connection.
 */
export async function followFeed(store, signal) {
  const place = { id: undefined };
  let failingSince;
  let tries = 0;
  while (!signal.aborted && session.needsLogin === undefined) {
    await untilVisible(signal);
    try {
      const onEvent = () => {
        failingSince = undefined;
        tries = 0;
      };
      await readFeed(store, place, { signal, onEvent });
      if (!document.hidden) store.connection({ state: "waiting", detail: "the stream ended" });
    } catch (error) {
      if (signal.aborted || session.needsLogin !== undefined) return;
      store.connection({ state: "waiting", detail: error.message });
      if (error.status > 0) failingSince = undefined;
      else failingSince ??= Date.now();
    }
    if (failingSince !== undefined && Date.now() - failingSince > GONE_MS)
      await continueElsewhere(store.members.values());
    // Pages that lose the same member do not all come back at the same time.
    const pauseMs = Math.min(250 * 2 ** tries++, MAX_PAUSE_MS) * (0.5 + Math.random() / 2);
    const leftMs = (failingSince ?? 0) + GONE_MS - Date.now();
    await pause(leftMs > 0 ? Math.min(pauseMs, leftMs + 1) : pauseMs, signal);
  }
}

async function readFeed(store, place, { signal, onEvent }) {
  const hidden = new AbortController();
  const release = onHidden(() => hidden.abort());
  try {
    if (session.caller === undefined) await learnCaller();
    const answer = await send("/events", {
      signal: AbortSignal.any([signal, hidden.signal]),
      headers: {
        accept: "text/event-stream",
        ...(place.id !== undefined && { "last-event-id": place.id }),
      },
    });
    store.connection({ state: "live" });
    for await (const { id, data } of events(answer)) {
      place.id = id ?? place.id;
      store.apply(data);
      onEvent();
    }
  } catch (error) {
    if (!hidden.signal.aborted) throw error;
  } finally {
    release();
  }
}

/** Calls back once the page has been hidden for a while. Returns a function that ends it. */
function onHidden(callback) {
  let timer;
  const look = () => {
    clearTimeout(timer);
    if (document.hidden) timer = setTimeout(callback, HIDDEN_MS);
  };
  look();
  document.addEventListener("visibilitychange", look);
  return () => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  };
}

function untilVisible(signal) {
  if (!document.hidden) return undefined;
  const { promise, resolve } = Promise.withResolvers();
  const look = () => (!document.hidden || signal.aborted) && resolve();
  document.addEventListener("visibilitychange", look);
  signal.addEventListener("abort", look);
  // A page that opens hidden, as in a new tab, reads too until it has been hidden for a while.
  const timer = setTimeout(resolve, session.caller === undefined ? 0 : 2 ** 31 - 1);
  return promise.finally(() => {
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
    signal.removeEventListener("abort", look);
  });
}
