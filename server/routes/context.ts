/** The context of the handlers: the parts of the member, and the variables of a request. */
import type { HttpBindings } from "@hono/node-server";
import type { Context } from "hono";
import type { SandboxLevel } from "../../openapi/limits.ts";
import type { Auth } from "../access/auth.ts";
import type { CallerVariables } from "../access/permissions.ts";
import type { RateLimit, StreamLimit } from "../access/rate-limit.ts";
import type { GatewayOptions } from "../answers/gateway.ts";
import type { InFlight } from "../http/in-flight.ts";
import type { ThisMember } from "../supervisor/this-member.ts";
import type { UploadReceiver, UploadVariables } from "./receive-uploads.ts";
import type { SourceCache } from "./source-cache.ts";

export type Bindings = { Bindings: HttpBindings; Variables: CallerVariables & UploadVariables };

export interface AppOptions extends GatewayOptions, ThisMember {
  /** The sandbox level of the member. */
  readonly sandbox: SandboxLevel;
  /** Sources that callers may name by their hashes. */
  readonly sourceCache: SourceCache;
  /** A larger request body is refused. */
  maxBodyBytes(): number;
  /** Takes files that come beside a spec. */
  readonly uploadReceiver: UploadReceiver;
  /** Who is calling; without it, anyone. */
  readonly auth: Auth | undefined;
  /** Refuses what comes from other sites' pages. */
  readonly browserGuard: (c: Context) => void;
  readonly rateLimit: RateLimit;
  readonly streamLimit: StreamLimit;
  /** Calls that pass through this member, and when the last request came. */
  readonly inFlight: InFlight;
  /** Begins to drain, if it has not yet. */
  drain(): void;
  /**
   * Whether it drains: connections are not kept then, so that nothing is sent on one that is about
   * to be closed.
   */
  isDraining(): boolean;
  /** Why the member is not ready; undefined when it is. */
  trouble(): string | undefined;
}
