/** A child of another member: what its member answers passes through this one. */
import { messageOf, PoolError, type Problem, problem } from "../../../openapi/errors.ts";
import { isTerminalType } from "../../../openapi/events.ts";
import { memberOfChild } from "../../../openapi/names.ts";
import type { ChildInfo } from "../../../openapi/schemas/state/children.ts";
import { type Answer, jsonOf, type RequestOptions } from "../../../sdk/typescript/http/client.ts";
import { requireWhole } from "../../../sdk/typescript/http/read-events.ts";
import { openEvents, resumed, resumeEvents } from "../../../sdk/typescript/http/resume.ts";
import { eventFrame } from "../../http/event-frame.ts";
import { problemResponse } from "../../http/problems.ts";
import type { NodeContext } from "../../http/request.ts";
import { isOver } from "../../http/response.ts";
import { EVENTS_TYPE, HEARTBEAT, nameChild, openSession, type Session } from "../events.ts";
import { send, sendFile } from "../send.ts";
import { ENDING_TRAILER, firstByteOf, stdoutHead } from "../stdout.ts";
import { answerWhole, parseEvent } from "../whole.ts";
import { askChild, nothingLeft, reached } from "./ask.ts";
import { type Frames, wholeFrames } from "./frames.ts";
import { HandedOver, onHandover } from "./handover.ts";
import type { Through } from "./through.ts";

const FILE_HEADERS = ["content-type", "content-length", "content-disposition"] as const;

/** 10 seconds for the head of an answer, beside the time for which it waits. */
const RESULT_TIMEOUT_MS = 10_000;

/** The position where a reader of stdout begins. Default: the first byte that is kept. */
export interface StdoutStart {
  /** Behind the event of this id. */
  readonly after?: number | undefined;
  /** A header `Range`, as the caller wrote it. */
  readonly range?: string | undefined;
}

/** The child, as the caller of one request reaches it. */
export class RemoteChild {
  readonly #c: NodeContext;
  readonly #id: string;
  readonly #through: Through;

  constructor(c: NodeContext, id: string, through: Through) {
    this.#c = c;
    this.#id = id;
    this.#through = through;
  }

  /** Asks the child's member, and answers with its JSON. @param path below the child's URL. */
  async json(path = "", request: RequestOptions = {}): Promise<Response> {
    const answer = await this.#reach(this.#send(path, request));
    return this.#c.json(await jsonOf<object>(answer), answer.status as 200);
  }

  /**
   * How the child ended, as its member tells it. The JSON passes as it is: a value may be large.
   *
   * @param waitMs milliseconds to wait for the end.
   */
  async result(waitMs: number): Promise<Response> {
    this.#through.inFlight.add(this.#c.env.outgoing);
    const request = { signal: this.#through.signal, timeoutMs: waitMs + RESULT_TIMEOUT_MS };
    const answer = await this.#reach(this.#send(`/result?waitMs=${waitMs}`, request));
    nameChild(this.#c, this.#id);
    if (answer.status === 204) return this.#c.body(null, 204);
    return send<Uint8Array>(this.#c, {
      headers: { "content-type": "application/json" },
      pieces: answer.body,
      discard: () => answer.cancel(),
      write: (outgoing, chunk) => outgoing.write(chunk),
    });
  }

  /** Passes on the bytes of an artifact. */
  async file(path: string): Promise<Response> {
    this.#through.inFlight.add(this.#c.env.outgoing);
    const url = `/files/${path.split("/").map(encodeURIComponent).join("/")}`;
    const { signal } = this.#through;
    const answer = await this.#reach(
      this.#send(url, { accept: "application/octet-stream", signal }),
    );
    const passed = FILE_HEADERS.flatMap((name) => {
      const value = answer.headers.get(name);
      return value === null ? [] : [[name, value] as const];
    });
    return sendFile(this.#c, {
      headers: Object.fromEntries(passed),
      status: answer.status,
      pieces: answer.body,
      discard: () => answer.cancel(),
    });
  }

  /** Attaches to the child's events, behind the one of this id. */
  async events(after: number | undefined): Promise<Response> {
    this.#checkStaying();
    const answer = await this.#reach(openEvents(this.#id, after, this.#through));
    return answer.status === 204 ? this.#c.body(null, 204) : this.relayEvents(answer, after);
  }

  /** Attaches to the child's stdout. */
  async stdout(start: StdoutStart): Promise<Response> {
    this.#checkStaying();
    const answer = await this.#reach(this.#openStdout(start));
    nameChild(this.#c, this.#id);
    return this.relayStdout(answer, start);
  }

  /** @throws {PoolError} `draining` when this member opens no more streams. */
  #checkStaying(): void {
    if (!this.#through.inFlight.handover.aborted) return;
    const detail = `this member drains; ask another one for child ${this.#id}`;
    // The child may well run.
    throw PoolError.of("draining", detail, { admitted: "unknown" });
  }

  /** Answers with the events of an open answer, gathered into one. */
  async relayWhole(answer: Answer): Promise<Response> {
    this.#watchHandover();
    try {
      const way = { ...this.#through, lines: "long" as const, parse: parseEvent };
      const events = resumeEvents(answer, way, { id: this.#id, after: 0 });
      return await answerWhole(this.#c, requireWhole(events));
    } catch (error) {
      if (!(error instanceof HandedOver)) throw error;
      return problemResponse(this.#c, { ...error.problem, child: error.child } as Problem);
    }
  }

  /**
   * Passes on the events of an open answer as bytes, and resumes them when the connection is cut.
   * Only whole frames pass, so the stream resumes behind the last one. A stream that cannot resume
   * ends with a `failed` event of this member: `member_lost`, `events_expired`, `child_forgotten`.
   *
   * @param after the id of the event behind which the answer begins. Default: it begins with the
   *   first event that is kept.
   * @param opened the session of an answer to the caller that is open already.
   */
  relayEvents(answer: Answer, after?: number, opened?: Promise<Session>): Promise<Response> {
    const { outgoing } = this.#c.env;
    let last: { readonly id: number | undefined; readonly type: string } = { id: after, type: "" };
    const hasEnded = () => isTerminalType(last.type);
    this.#watchHandover();
    return send<Frames>(this.#c, {
      headers: EVENTS_TYPE,
      pieces: resumed(answer, {
        ...this.#through,
        read: ({ body }) => wholeFrames(body),
        advance: (frames) => {
          last = frames.last ?? last;
          return frames.last !== undefined;
        },
        isComplete: hasEnded,
        // A connection may break behind the terminal event.
        canReopen: () => !hasEnded(),
        reopen: () => {
          if (!isOver(outgoing)) outgoing.write(HEARTBEAT);
          return openEvents(this.#id, last.id, this.#through);
        },
      }),
      discard: () => answer.cancel(),
      // The heartbeats of the other member pass through.
      open: () => opened ?? openSession(this.#c, false),
      write: (_, { pieces }) => {
        for (const piece of pieces) outgoing.write(piece);
      },
      failed: (_, why) => {
        if (hasEnded()) return;
        if (why instanceof HandedOver) return void outgoing.write(why.frame);
        const failure =
          why instanceof PoolError && ["events_expired", "child_forgotten"].includes(why.code)
            ? why.problem
            : problem(
                "member_lost",
                `member ${memberOfChild(this.#id)} was lost while the child ran: ${messageOf(why)}`,
                { admitted: true },
              );
        outgoing.write(eventFrame({ type: "failed", problem: failure }, (last.id ?? 0) + 1));
      },
    });
  }

  /** Passes on the stdout and the ending of an open answer, and resumes them after a cut. */
  relayStdout(answer: Answer, { after, range }: StdoutStart = {}): Promise<Response> {
    // The child's member has refused a malformed range.
    let at = firstByteOf(range) ?? 0;
    this.#watchHandover();
    return send<Uint8Array>(this.#c, {
      ...stdoutHead(answer.headers.get("content-range") ?? undefined),
      pieces: resumed(answer, {
        ...this.#through,
        read: ({ body }) => body,
        advance: (chunk) => {
          at += chunk.length;
          return true;
        },
        isComplete: ({ trailers }) => {
          const ending = trailers[ENDING_TRAILER];
          if (ending !== undefined) this.#c.env.outgoing.addTrailers({ [ENDING_TRAILER]: ending });
          return ending !== undefined;
        },
        // Only the child's member knows which byte comes behind an event.
        canReopen: () => after === undefined,
        reopen: () => this.#reopenStdout(at),
      }),
      discard: () => answer.cancel(),
      write: (outgoing, chunk) => outgoing.write(chunk),
    });
  }

  /** Ends the answer under way when this member hands over. Its child must still be there. */
  #watchHandover(): void {
    const { inFlight, link = false, input, abort } = this.#through;
    const { handover, end } = inFlight;
    onHandover(this.#c.env.outgoing, { handover, end, link, input }, () => {
      const found = this.#send("", {}).then((answer) => jsonOf<ChildInfo>(answer));
      // A stream whose child cannot be found stays, and ends as `member_lost`.
      void found.then(
        (child) => abort(new HandedOver(child)),
        () => {},
      );
    });
  }

  #openStdout({ after, range }: StdoutStart): Promise<Answer> {
    return this.#send("/events", {
      accept: "application/octet-stream",
      headers: {
        ...(after === undefined ? {} : { "last-event-id": String(after) }),
        ...(range === undefined ? {} : { range }),
      },
      signal: this.#through.signal,
    });
  }

  /** Rejects where the child's member broke the connection because the child failed. */
  async #reopenStdout(from: number): Promise<Answer> {
    const answer = await this.#send("", { signal: this.#through.signal });
    const { code, exitCode } = await jsonOf<ChildInfo>(answer);
    if (code !== null || (exitCode ?? 0) !== 0)
      throw PoolError.of("worker_crashed", `child ${this.#id} has failed`);
    return this.#openStdout({ range: `bytes=${from}-` }).catch(nothingLeft);
  }

  #send(path: string, request: RequestOptions): Promise<Answer> {
    return askChild(this.#through, { id: this.#id, path }, request);
  }

  #reach(asked: Promise<Answer>): Promise<Answer> {
    return reached(this.#id, asked);
  }
}
