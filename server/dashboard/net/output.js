/** Reads the events of a child to the end, over cuts. */
import { Problem, send } from "./api.js";
import { events, pause } from "./sse.js";

const MAX_PAUSE_MS = 3_000;
const isTerminal = ({ type, child }) => type === "result" || (type === "failed" && !child);

/**
 * Calls `on` with each event. Resolves behind the last one, and when the signal aborts.
 *
 * @param start an id of a child; or a call: `{ pool, spec }`.
 * @throws {Problem} when the call is refused, or the child is no longer known.
 */
export async function readOutput(start, { on, onCut = () => {}, signal }) {
  let id = typeof start === "string" ? start : undefined;
  let last;
  let tries = 0;
  while (!signal.aborted) {
    try {
      const answer = await (id === undefined ? place(start, signal) : attach(id, last, signal));
      if (answer.status === 204) return;
      for await (const event of events(answer)) {
        last = event.id ?? last;
        id ??= event.data.child?.id;
        tries = 0;
        on(event.data);
        if (isTerminal(event.data)) return;
      }
    } catch (error) {
      if (signal.aborted) return;
      // A call is not sent again without its child: it might run twice.
      const isFinal = error instanceof Problem && error.status > 0 && error.status < 500;
      if (id === undefined || isFinal) throw error;
    }
    onCut();
    await pause(Math.min(200 * 2 ** tries++, MAX_PAUSE_MS), signal);
  }
}

const accept = "text/event-stream";

const place = ({ pool, spec }, signal) =>
  send(`/pools/${encodeURIComponent(pool)}/call`, {
    method: "POST",
    headers: { accept, "content-type": "application/json" },
    body: JSON.stringify(spec),
    signal,
  });

const attach = (id, last, signal) =>
  send(`/children/${id}/events`, {
    headers: { accept, ...(last !== undefined && { "last-event-id": last }) },
    signal,
  });
