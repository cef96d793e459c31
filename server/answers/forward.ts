/** Forwards requests that concern a child of another member to that member. */
import type { Readable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { memberOfChild } from "../../openapi/names.ts";
import type { Answer, RequestOptions } from "../../sdk/typescript/http/client.ts";
import { openEvents } from "../../sdk/typescript/http/resume.ts";
import type { NodeContext } from "../http/request.ts";
import { CHILD_HEADER } from "./events.ts";
import { type GatewayOptions, type Through, through } from "./gateway.ts";
import { relayEvents } from "./relay-events.ts";
import { openStdout, relayStdout, type StdoutStart } from "./relay-stdout.ts";
import { sendFile } from "./send.ts";

const FILE_HEADERS = ["content-type", "content-length", "content-disposition"] as const;

/** One request for a child of another member. */
export class Forward {
  readonly #c: NodeContext;
  readonly #id: string;
  readonly #through: Through;

  constructor(c: NodeContext, options: GatewayOptions, id: string) {
    this.#c = c;
    this.#id = id;
    this.#through = through(c, options);
  }

  /**
   * Asks the child's member, and answers with its JSON. @param path what follows the child's URL.
   */
  async json(path = "", request: RequestOptions = {}): Promise<Response> {
    const answer = await this.#send(path, request);
    return this.#c.json((await answer.body.json()) as object, answer.statusCode as 200);
  }

  /**
   * Passes a body on to the child's input, no faster than the child reads. A body that breaks off
   * here breaks off there.
   */
  stdin(body: Readable, end: string): Promise<Response> {
    // The child may leave the body unread for as long as it lives.
    return this.json(`/stdin?end=${end}`, { method: "POST", body, timeoutMs: 0 });
  }

  /** Passes the bytes of an artifact on. */
  async file(path: string): Promise<Response> {
    const { headers, body, statusCode } = await this.#send(
      `/files/${path.split("/").map(encodeURIComponent).join("/")}`,
      { accept: "application/octet-stream", signal: this.#through.signal },
    );
    const passed = FILE_HEADERS.flatMap((name) =>
      typeof headers[name] === "string" ? [[name, headers[name]] as const] : [],
    );
    return sendFile(this.#c, {
      bytes: body as Readable,
      headers: Object.fromEntries(passed),
      status: statusCode,
    });
  }

  /** Attaches to the child's events, behind the one of this id. */
  async events(after: number | undefined): Promise<Response> {
    const answer = await this.#reach(() => openEvents(this.#id, after, this.#through));
    if (answer.statusCode === 204) return this.#c.body(null, 204);
    return relayEvents(this.#c, { childId: this.#id, answer, after, through: this.#through });
  }

  /** Attaches to the child's stdout. */
  async stdout(start: StdoutStart): Promise<Response> {
    const answer = await this.#reach(() => openStdout(this.#id, start, this.#through));
    this.#c.env.outgoing.setHeader(CHILD_HEADER, this.#id);
    return relayStdout(this.#c, { childId: this.#id, answer, start, through: this.#through });
  }

  async #send(path: string, request: RequestOptions): Promise<Answer> {
    const { client, access } = this.#through;
    const url = `${await access.childUrl(this.#id)}${path}`;
    const answer = await this.#reach(() => client.send(url, request));
    if (answer.statusCode >= 400) throw await client.problem(answer);
    return answer;
  }

  /** The answer of the child's member. @throws {PoolError} `member_lost` where there is none. */
  async #reach(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof PoolError) throw error;
      throw PoolError.of(
        "member_lost",
        `member ${memberOfChild(this.#id)} does not answer: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }
}
