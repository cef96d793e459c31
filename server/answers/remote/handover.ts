/**
 * Hands streams of other members' children over when this member is about to leave: each ends with
 * an event that names the child, and its client resumes at another member.
 */
import type { Readable } from "node:stream";
import { PoolError, problem } from "../../../openapi/errors.ts";
import type { ChildReference } from "../../../openapi/schemas/resources.ts";
import { eventFrame } from "../../http/event-frame.ts";
import type { InFlight } from "../../http/in-flight.ts";
import { type Outgoing, onOver } from "../../http/response.ts";

/** Streams end within 1 second, so that their clients do not all come back at once. */
const SPREAD_MS = 1_000;

/** The reason why a stream ends although its child runs on. */
export class HandedOver extends PoolError {
  readonly child: ChildReference;

  constructor({ id, pool, member, url }: ChildReference) {
    super(
      problem("draining", `this member drains; child ${id} runs on at member ${member}`, {
        admitted: true,
      }),
    );
    this.child = { id, pool, member, url };
  }

  /** The last event of the stream. It has no id, so that clients resume behind the one before. */
  get frame(): Buffer {
    const { problem, child } = this;
    return eventFrame({ type: "failed", problem, child });
  }
}

/** The reasons that keep a stream at this member until the end of its drain. */
export interface Held {
  /** Whether the child is linked: it stops when this member lets go of its stream. */
  readonly link?: boolean;
  /** The child's input, which passes through this member. The stream stays until it has ended. */
  readonly input?: Readable | undefined;
}

/** Calls `run` once or more when the stream is to be handed over, unless the answer is over. */
export function onHandover(
  outgoing: Outgoing,
  { handover, end, link = false, input }: Pick<InFlight, "handover" | "end"> & Held,
  run: () => void,
): void {
  let timer: NodeJS.Timeout | undefined;
  const later = () => {
    timer = setTimeout(run, Math.random() * SPREAD_MS);
  };
  const begin = () => {
    if (link) return;
    if (input && !input.closed) input.once("close", later);
    else later();
  };
  if (handover.aborted) begin();
  else handover.addEventListener("abort", begin);
  end.addEventListener("abort", run);
  onOver(outgoing, () => {
    clearTimeout(timer);
    input?.off("close", later);
    handover.removeEventListener("abort", begin);
    end.removeEventListener("abort", run);
  });
}
