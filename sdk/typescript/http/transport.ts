/** The seam between the client and HTTP: by fetch, or by Node's own module. */
import type { Multipart } from "./multipart.ts";

/** A body: text, bytes, a form, or a stream of bytes. */
export type Body = string | Uint8Array | Multipart | AsyncIterable<Uint8Array>;

export interface TransportRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body | undefined;
  /** The member that is asked. Default: the one that the id of a child in the URL names. */
  readonly member?: string | undefined;
  /** Ends the request, and closes its connection. */
  readonly signal: AbortSignal | undefined;
  /**
   * Milliseconds for the head of the answer to arrive; 0 for no limit. The time starts again while
   * a form is sent.
   */
  readonly timeoutMs: number;
}

/** An answer whose head has arrived. */
export interface Answer {
  /** 0 for a redirect that a browser hides. */
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  /** The bytes, which can be read once. Leaving the loop early closes the connection. */
  readonly body: AsyncIterable<Uint8Array>;
  /** The trailers, after the end of the body. Fetch has none. */
  readonly trailers: Readonly<Record<string, string | undefined>>;
  /** Ends the answer. A read that is under way rejects with the reason. */
  cancel(reason?: Error): void;
  /** To be called once the end of the child that the answer is about has been read. */
  onEnd?: (() => void) | undefined;
}

export interface Transport {
  /** Whether a body may be a stream. If not, streams are sent in several requests. */
  readonly streamsBodies: boolean;
  /** Resolves at the head of the answer. Follows no redirect. Rejects with its own error. */
  send(url: string, request: TransportRequest): Promise<Answer>;
  /** Ends the requests that are under way, and refuses later ones. */
  close(): void;
}

/**
 * The lines of a stream of events. `short` ones are below 64 KiB, and the terminal event may be
 * `partial`.
 */
export type Lines = "long" | "short";
