/** The package `distributed-pool`: runs work on the least loaded machine of a named pool. */
export {
  type ErrorCode,
  type FunctionError,
  FunctionThrewError,
  type Load,
  PoolError,
  type Problem,
} from "../../openapi/errors.ts";
export type { PoolEvent, Progress, TerminalEvent } from "../../openapi/events.ts";
export type { Usage } from "../../openapi/schemas/endings.ts";
export type { PoolMember } from "../../openapi/schemas/pools.ts";
export type {
  ChildInfo,
  ChildReference,
  Count,
} from "../../openapi/schemas/resources.ts";
export { type Bundle, bundle } from "./bundle.ts";
export type {
  CallOptions,
  CommandResult,
  CommandSpec,
  FunctionSpec,
  Spec,
  TaskSpec,
} from "./call-spec.ts";
export type { Inputs } from "./calls/fan-out.ts";
export type { MapOptions, MapProgress, MapResults } from "./calls/map.ts";
export type { CommandRun, FunctionRun, Output } from "./calls/results.ts";
export {
  Child,
  type Ending,
  type EventsOptions,
  type StopOptions,
  type WriteOptions,
} from "./child.ts";
export type { DistributedPoolOptions } from "./connection.ts";
export type { FileInput } from "./files.ts";
export { type PoolContext, type PoolFunction, type Task, task } from "./functions.ts";
export type { TlsIdentity } from "./http/connections.ts";
export { type NumberedEvent, outputBytes } from "./http/read-events.ts";
export type { PoolChildList, PoolInfo, PoolList } from "./placement/access.ts";
export { type ConsulOptions, consulOptionsFrom } from "./placement/consul/consul-client.ts";
export { type ChildrenFilter, DistributedPool } from "./pool.ts";
export type { Encoding } from "./values.ts";
