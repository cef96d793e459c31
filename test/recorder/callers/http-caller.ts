/** Makes planned calls by plain HTTP, as a program without the SDK does. */
import { setTimeout as pause } from "node:timers/promises";
import { Agent, type Dispatcher, request } from "undici";
import { ERRORS, isErrorCode, PoolError, type RunProblem } from "../../../openapi/errors.ts";
import { readEvents } from "../../../sdk/typescript/http/read-events.ts";
import { specOf } from "../calls.ts";
import type { CallPlan, Ending } from "../history.ts";
import { type Notes, text, toldBy } from "./callers.ts";

/** A stream has a comment every 10 seconds, so one that is silent for longer is cut. */
const SILENT_MS = 25_000;
/** The head of an answer that waits for its child may take the deadline and this time. */
const HEAD_MS = 25_000;
const AGAIN_MS = 500;
/** Nothing was sent under these errors. */
const NEVER_SENT = new Set([
  "ECONNREFUSED",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

interface Options {
  readonly signal: AbortSignal;
  readonly notes: Notes;
}

export class HttpCaller {
  readonly #agent = new Agent({ connectTimeout: 5_000, bodyTimeout: SILENT_MS });

  /** @throws when the caller leaves. */
  async make(plan: CallPlan, url: string, { signal, notes }: Options): Promise<Ending> {
    try {
      return await this.#make(plan, url, { signal, notes });
    } catch (error) {
      signal.throwIfAborted();
      const { code = "", message } = error as NodeJS.ErrnoException;
      if (!NEVER_SENT.has(code)) return { type: "cut", detail: `${code} ${message}` };
      const never = { admitted: false, retryable: true } as const;
      return { type: "failed", code: "unreachable", detail: message, ...never };
    }
  }

  async #make(plan: CallPlan, url: string, { signal, notes }: Options): Promise<Ending> {
    const operation = plan.operation === "place" ? "children" : plan.operation;
    // Every other call asks this member alone, and none of the pool's other members.
    const isLocal = plan.target % 2 === 0;
    const path = isLocal ? `/${operation}` : `/pools/${plan.pool}/${operation}`;
    const { idempotencyKey: key, ...given } = specOf(plan);
    // A key comes by the header, or as a field of the spec.
    const isHeader = key !== undefined && plan.target % 3 === 0;
    const keyed = key !== undefined && !isHeader && { idempotencyKey: key };
    const spec = JSON.stringify({ ...given, ...keyed, ...(isLocal && { pool: plan.pool }) });
    const isPipe = plan.operation === "pipe";
    const answer = await request(`${url}${path}`, {
      method: "POST",
      dispatcher: this.#agent,
      signal,
      headersTimeout: plan.deadlineMs + HEAD_MS,
      headers: {
        "content-type": isPipe ? "application/octet-stream" : "application/json",
        ...(operation === "call" && { accept: "text/event-stream" }),
        ...(isPipe && { "pool-spec": spec }),
        ...(isHeader && { "idempotency-key": key }),
      },
      body: isPipe ? plan.workId : spec,
    });
    const child = answer.headers["pool-child-id"];
    if (typeof child === "string") notes.placed(child);
    if (answer.statusCode >= 400) return failed(await answer.body.json(), notes);
    if (operation === "call") return ofEvents(plan, answer.body, notes);
    if (isPipe) return ofPipe(answer, notes);
    const body = (await answer.body.json()) as Waited & { id: string };
    // A failure of a child that was silent for long comes behind the head.
    if (operation === "run" && body.problem) return failed(body.problem, notes);
    if (operation === "run") return waited(plan, body);
    notes.placed(body.id);
    return this.#ending(plan, `${url}/children/${body.id}`, signal);
  }

  /** Reads the events of a placed child, again after a cut, until its deadline has passed. */
  async #ending(plan: CallPlan, url: string, signal: AbortSignal): Promise<Ending> {
    const until = Date.now() + plan.deadlineMs + SILENT_MS;
    for (;;) {
      const ending = await this.#events(plan, url, signal).catch((error: Error): Ending => {
        signal.throwIfAborted();
        return { type: "cut", detail: error.message };
      });
      if (ending.type !== "cut" || Date.now() > until) return ending;
      await pause(AGAIN_MS);
    }
  }

  async #events(plan: CallPlan, url: string, signal: AbortSignal): Promise<Ending> {
    const answer = await request(`${url}/events`, {
      dispatcher: this.#agent,
      signal,
      headersTimeout: HEAD_MS,
    });
    if (answer.statusCode >= 500) return { type: "cut", detail: await answer.body.text() };
    const notes = { placed: () => {} };
    if (answer.statusCode >= 400) return failed(await answer.body.json(), notes);
    return ofEvents(plan, answer.body, notes);
  }

  close(): void {
    void this.#agent.destroy();
  }
}

interface Waited {
  readonly problem?: RunProblem;
  readonly value?: unknown;
  readonly stdout?: string;
}

function waited(plan: CallPlan, { value, stdout = "" }: Waited): Ending {
  // The answer has its output in the encoding of the spec.
  const output = plan.isKeyed ? Buffer.from(stdout, "base64").toString() : stdout;
  return { type: "result", value: toldBy(plan, value, output) };
}

function failed(body: unknown, notes: Notes): Ending {
  const { code, detail, admitted, child } = body as RunProblem;
  if (child) notes.placed(child.id);
  const retryable = isErrorCode(code) && ERRORS[code].retryable;
  const known = admitted === undefined ? {} : { admitted };
  return { type: "failed", code, retryable, detail, ...known };
}

async function ofEvents(
  plan: CallPlan,
  body: AsyncIterable<Uint8Array>,
  notes: Notes,
): Promise<Ending> {
  let output = "";
  try {
    for await (const event of readEvents(body)) {
      if (event.type === "placed") notes.placed(event.child.id);
      if (event.type === "stdout") output += text(event);
      if (event.type === "failed") return failed(event.problem, notes);
      if (event.type === "result")
        return { type: "result", value: toldBy(plan, event.value, output) };
    }
  } catch (error) {
    // The reader's own word for a stream without an end.
    if (!(error instanceof PoolError)) throw error;
    return { type: "cut", detail: error.message };
  }
  return { type: "cut", detail: "the stream has no end" };
}

/** The ending of a pipe is in its trailer. */
async function ofPipe({ body, trailers }: Dispatcher.ResponseData, notes: Notes): Promise<Ending> {
  const value = await body.text();
  const ending = (trailers as Record<string, string>)["pool-ending"];
  if (ending === undefined) return { type: "cut", detail: "no trailer" };
  const { type, problem } = JSON.parse(ending);
  return type === "result" ? { type, value } : failed(problem, notes);
}
