/** The context of the handlers: the parts of the member, and the variables of a request. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { Members } from "../../sdk/typescript/placement/members.ts";
import type { Auth } from "../access/auth.ts";
import type { CallerVariables } from "../access/permissions.ts";
import type { RateLimit, StreamLimit } from "../access/rate-limit.ts";
import type { GatewayOptions } from "../answers/gateway.ts";
import type { HeldBytes } from "../http/bodies/held-bytes.ts";
import type { Connections } from "../http/connections/connections.ts";
import type { InFlight } from "../http/in-flight.ts";
import type { HistoryCounts } from "../supervisor/feed/history.ts";
import type { FeedHub } from "../supervisor/feed/hub.ts";
import type { RecentStarts } from "../supervisor/once/recent-starts.ts";
import type { ThisMember } from "../supervisor/this-member.ts";
import type { UploadReceiver, UploadVariables } from "./bodies/receive-uploads.ts";
import type { SourceCache } from "./source-cache.ts";

interface AnswerVariables {
  /** Milliseconds between two signs of life in a silent answer. */
  readonly heartbeatMs: number;
}

export type Bindings = {
  Bindings: HttpBindings;
  Variables: CallerVariables & UploadVariables & AnswerVariables;
};

export interface AppOptions extends GatewayOptions, ThisMember {
  /** The members that this one may ask. */
  readonly members: Members;
  /** The feed of this member, and its counts of the last 30 minutes. */
  readonly feeds: { readonly own: FeedHub; readonly counts: HistoryCounts };
  /** The requests of late that have started children here. */
  readonly recentStarts: RecentStarts;
  /** The sandbox level of the member. */
  readonly sandbox: SandboxLevel;
  /** Sources that callers may name by their hashes. */
  readonly sourceCache: SourceCache;
  /** The most bytes of a JSON body. */
  maxBodyBytes(): number;
  /** The account of the memory that requests hold. */
  readonly heldBytes: HeldBytes;
  /** Receives files that come beside a spec. */
  readonly uploadReceiver: UploadReceiver;
  /** The origin at which callers reach the members through a proxy, if there is one. */
  readonly publicUrl: string | undefined;
  /** Milliseconds between two signs of life in a silent answer. */
  heartbeatMs(): number;
  /** Identifies the caller of a request; undefined when the member serves anyone. */
  readonly auth: Auth | undefined;
  /** The origins whose pages may call. */
  corsOrigins(): readonly string[];
  /** Refuses requests of other sites' pages. */
  readonly browserGuard: (c: Context) => void;
  readonly rateLimit: RateLimit;
  readonly streamLimit: StreamLimit;
  /** Learns which connections have shown a valid token. */
  readonly connections: Pick<Connections, "know">;
  /** The calls that pass through this member, and the time of the last request. */
  readonly inFlight: InFlight;
  /** Begins to drain the member. A repeated call changes nothing. */
  drain(): void;
  /**
   * Whether the member drains. It then closes each connection after its answer, so no client sends
   * on a connection that is about to close.
   */
  isDraining(): boolean;
  /** The reason why the member is not ready; undefined when it is. */
  trouble(): string | undefined;
}
