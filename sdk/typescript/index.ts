/** distributed-pool: run a piece of work on the least loaded machine of a named pool. */
export type { ErrorCode, FunctionError, Load, Problem } from "../../openapi/errors.ts";
export { FunctionThrewError, PoolError } from "../../openapi/errors.ts";
export type { PoolEvent, Progress, TerminalEvent } from "../../openapi/events.ts";
export type {
  ChildInfo,
  ChildReference,
  Count,
  PoolMember,
  Usage,
} from "../../openapi/resources.ts";
export { type Bundle, bundle } from "./bundle.ts";
export {
  Child,
  type Ending,
  type EventsOptions,
  type StopOptions,
  type WriteOptions,
} from "./child.ts";
export type { FileInput } from "./files.ts";
export type { PoolContext, PoolFunction } from "./functions.ts";
export type { TlsIdentity } from "./http/client.ts";
export { type NumberedEvent, outputBytes } from "./http/read-events.ts";
export type { PoolChildList, PoolInfo, PoolList } from "./placement/access.ts";
export { type ConsulOptions, consulOptionsFrom } from "./placement/consul-members.ts";
export {
  type CallOptions,
  type ChildrenFilter,
  type CommandResult,
  type CommandSpec,
  DistributedPool,
  type DistributedPoolOptions,
  type FunctionSpec,
  type Spec,
  type TaskSpec,
} from "./pool.ts";
export { type Task, task } from "./tasks.ts";
export type { Encoding } from "./values.ts";
