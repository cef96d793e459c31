/** The exports that both entries of the package have. */
export {
  CapacityError,
  type ErrorCode,
  type FunctionError,
  FunctionThrewError,
  isErrorCode,
  type Load,
  MemberLostError,
  PoolError,
  type Problem,
  type RunProblem,
} from "../../openapi/errors.ts";
export type { PoolEvent, Progress, TerminalEvent } from "../../openapi/events.ts";
export type {
  Child as ChildInfo,
  ChildReference,
  Count,
  PoolMember,
  Usage,
} from "../../openapi/types.gen.ts";
export type {
  CallOptions,
  CommandResult,
  CommandSpec,
  FunctionSpec,
  Spec,
  TaskSpec,
} from "./call-spec.ts";
export type {
  EventsOptions,
  ResultOptions,
  StopOptions,
  WriteOptions,
} from "./calls/child-options.ts";
export type { Inputs } from "./calls/fan-out.ts";
export type { MapOptions, MapProgress, MapResults } from "./calls/map.ts";
export type { CommandRun, FunctionRun, Output } from "./calls/results.ts";
export type { Ending } from "./child.ts";
export type { Credentials } from "./connection.ts";
export type { FileInput } from "./files.ts";
export {
  type ArgumentsOf,
  type Bundle,
  type FunctionAt,
  type PoolContext,
  type PoolFunction,
  type Runs,
  type Task,
  task,
} from "./functions.ts";
export type { OutputStream } from "./http/output.ts";
export type { NumberedEvent } from "./http/read-events.ts";
export type { PoolChildList, PoolInfo, PoolList } from "./placement/access.ts";
export type { ChildrenFilter } from "./pool.ts";
export type { Encoding } from "./values.ts";
