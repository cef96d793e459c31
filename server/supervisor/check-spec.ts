/** Checks a child spec against the rules of its pool: once, when its request arrives. */
import { PoolError } from "../../openapi/errors.ts";
import { isAtLeast, type SandboxLevel } from "../../openapi/limits.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import type { Deadline } from "../../sdk/typescript/time/deadline.ts";
import type { RuntimeRegistry } from "../runtimes/registry/runtime-registry.ts";
import type { FunctionCall, Runtime } from "../runtimes/runtime.ts";
import { type Confinement, tightened } from "../sandbox/confinement.ts";
import type { Fence } from "../sandbox/fence.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { StartHealth } from "../sandbox/start-health.ts";
import { PERL } from "../sandbox/terminal.ts";
import { checkFiles } from "../workspace/check-files.ts";
import type { FetchRules } from "../workspace/fetching/fetch-rules.ts";
import type { Uploads } from "../workspace/uploads.ts";
import type { Notifier } from "./notify/notifier.ts";
import type { ChildObserver } from "./observed/observer.ts";

/** The part of a supervisor's options that decides which specs it admits. */
export interface PoolRules {
  readonly pool: string;
  readonly member: string;
  readonly sandbox: Sandbox;
  /** The pool's limits and grants; a caller can tighten the limits. */
  readonly confinement: Confinement;
  /** The longest deadline that a caller may ask for, in milliseconds; undefined for any. */
  readonly maxDeadlineMs?: number | undefined;
  /** The deadline of a call that names none, in milliseconds. */
  readonly defaultDeadlineMs: number;
  /** That of this pool, for calls and placed children, in milliseconds; undefined for none. */
  readonly poolDeadlineMs?: number | undefined;
  /** The URLs from which files are fetched for children. */
  readonly fetchRules: FetchRules;
  /** The URLs that are notified of children's endings. */
  readonly notifyRules: FetchRules;
  readonly notifier: Notifier;
  readonly runtimes: RuntimeRegistry;
  /** Ends the children when the member loses touch with its registry. Default: nothing does. */
  readonly fence?: Fence | undefined;
  /** Learns whether children can be started. Default: nobody does. */
  readonly startHealth?: StartHealth | undefined;
  /** Learns what happens to the children. Default: nobody does. */
  readonly observer?: ChildObserver | undefined;
}

/**
 * A `call` has the pool's deadline, or else the member's, unless its spec names one. A `placed`
 * child has the pool's deadline, or else the pool's longest, or none; its input stays open unless
 * its spec says more.
 */
export type Lifetime = "call" | "placed";

/** A caller's request for a child: the spec, and the parts that came beside it. */
export interface ChildRequest {
  readonly spec: ChildSpec;
  readonly lifetime: Lifetime;
  readonly uploads?: Uploads | undefined;
}

/** A request that the pool's rules allow, with the values that they give it. */
export interface CheckedSpec extends ChildRequest {
  /** The rules at the time of the check. A reload replaces them. */
  readonly rules: PoolRules;
  /** The pool's confinement, tightened by the limits that the caller requests. */
  readonly confinement: Confinement;
  readonly runtime: Runtime;
  /** The function to call; undefined for a command. */
  readonly call: FunctionCall | undefined;
  /** The caller's deadline, or else the pool's, in milliseconds; undefined for none. */
  readonly deadlineMs: number | undefined;
}

/**
 * @throws {PoolError} `invalid_request` for more than the pool's limits; `task_not_found`;
 *   `runtime_not_found`; `forbidden` for a command, a variable or a URL that the operator does not
 *   allow; `sandbox_unavailable` when the spec demands a stronger sandbox, or a terminal where
 *   there is none.
 */
export function checkSpec(request: ChildRequest, rules: PoolRules): CheckedSpec {
  const { spec, uploads } = request;
  const { runtimes, fetchRules } = rules;
  checkSandbox(spec.sandbox, rules);
  checkCommand(request, rules);
  checkTerminal(spec, rules);
  const call = runtimes.callOf(spec);
  const runtime = call ? runtimes.of(call) : runtimes.command;
  const limits = tightened(rules.confinement.limits, spec.limits);
  if (uploads?.stdin && spec.stdin !== undefined)
    throw PoolError.of("invalid_request", "/stdin: expected it in the spec or as a part; got both");
  checkFiles(spec, {
    uploaded: uploads?.files ?? [],
    hasArchive: uploads?.archive !== undefined,
    maxBytes: limits.workspaceBytes,
    rules: fetchRules,
  });
  if (spec.notify) rules.notifier.check(spec.notify.url, rules.notifyRules);
  const confinement = { ...rules.confinement, limits };
  return { ...request, rules, confinement, runtime, call, deadlineMs: deadlineOf(request, rules) };
}

/** The refusal while nothing is admitted: `fenced`, or `sandbox_unavailable` without a start. */
export function refusalOf({ fence, startHealth, member }: PoolRules): PoolError | undefined {
  if (fence?.isUp)
    return PoolError.of(
      "fenced",
      `member ${member} has not reached its registry for ${fence.ms} ms, and admits nothing`,
    );
  if (startHealth?.trouble === undefined) return undefined;
  return PoolError.of("sandbox_unavailable", `member ${member} can start no children now`, {
    admitted: false,
  });
}

/** @throws {PoolError} as {@link refusalOf} and {@link checkSandbox}. */
export function checkAdmitting(rules: PoolRules, demanded?: SandboxLevel): void {
  const refusal = refusalOf(rules);
  if (refusal) throw refusal;
  checkSandbox(demanded, rules);
}

/** @throws {PoolError} `sandbox_unavailable` when the member's sandbox is weaker than demanded. */
function checkSandbox(
  demanded: SandboxLevel | undefined,
  { member, sandbox }: Pick<PoolRules, "member" | "sandbox">,
): void {
  if (demanded !== undefined && !isAtLeast(sandbox.level, demanded))
    throw PoolError.of(
      "sandbox_unavailable",
      `expected sandbox ${demanded}; member ${member} has ${sandbox.level}`,
      { admitted: false },
    );
}

/** Another member may have what is missing here. */
function checkTerminal(
  { tty }: Pick<ChildSpec, "tty">,
  { pool, member, sandbox, runtimes }: PoolRules,
): void {
  if (tty === undefined || runtimes.hasTerminals) return;
  const why =
    sandbox.level === "none"
      ? `a sandbox for tty; member ${member} has none`
      : `${PERL} for tty; it is missing or makes no terminal in pool ${pool} of member ${member}`;
  throw PoolError.of("sandbox_unavailable", `expected ${why}`, { admitted: false });
}

function deadlineOf(
  { spec: { deadlineMs }, lifetime }: ChildRequest,
  { pool, maxDeadlineMs, defaultDeadlineMs, poolDeadlineMs }: PoolRules,
): number | undefined {
  if (deadlineMs === undefined) {
    const wanted = poolDeadlineMs ?? (lifetime === "call" ? defaultDeadlineMs : undefined);
    return wanted === undefined || maxDeadlineMs === undefined
      ? (wanted ?? maxDeadlineMs)
      : Math.min(wanted, maxDeadlineMs);
  }
  if (maxDeadlineMs === undefined || deadlineMs <= maxDeadlineMs) return deadlineMs;
  const longest = `${maxDeadlineMs}, the longest deadline of pool ${pool}`;
  const message = `expected at most ${longest}; got ${deadlineMs}`;
  throw PoolError.of("invalid_request", `/deadlineMs: ${message}`, {
    fields: [{ path: "/deadlineMs", message }],
  });
}

/** Variables that tell a program what its terminal shows. They name neither files nor programs. */
const TERMINAL_VARIABLES: ReadonlySet<string> = new Set(["TERM", "COLORTERM", "NO_COLOR"]);

/** Refuses commands outside the pool's allow-list, and functions, which could start any program. */
function checkCommand(
  { spec: { command, function: fn, task, env = {}, files, archive, tty }, uploads }: ChildRequest,
  { pool, confinement }: PoolRules,
): void {
  const allowed = confinement.grants.commands;
  if (allowed === undefined) return;
  const refuse = (why: string) => PoolError.of("forbidden", `pool ${pool} runs only ${why}`);
  if (fn) throw refuse(`these commands, and no functions: ${allowed.join(", ")}`);
  if (command && !allowed.includes(command[0] ?? ""))
    throw refuse(`${allowed.join(", ")}; got ${command[0]}`);
  // PATH, LD_PRELOAD, PS4 and many more turn an allowed program into another one.
  const names = Object.keys(env).filter((name) => !tty || !TERMINAL_VARIABLES.has(name));
  if (names.length > 0)
    throw refuse(
      `the commands it allows, with its own variables: ${names.join(", ")} may not be set`,
    );
  // Runtimes load modules from the workspace, their home: a file there would replace the task's
  // code.
  if (task && (files || archive || uploads?.files.length || uploads?.archive))
    throw refuse("the commands it allows, and tasks without files");
}

/**
 * The same request after its wait, with what remains of its deadline. It is checked again only if a
 * reload replaced the rules meanwhile: a limit that was tightened holds for it.
 */
export function afterWait(checked: CheckedSpec, deadline: Deadline, rules: PoolRules): CheckedSpec {
  const waited = { ...checked, spec: { ...checked.spec, ...deadline.forSpec } };
  return checked.rules === rules ? waited : checkSpec(waited, rules);
}

/**
 * The deadline of a child that gets its slot now, in milliseconds; undefined for none. A caller
 * that claims a slot names what remains of its deadline. The default counts from its request.
 *
 * @param requestedAt the time of the request for the slot, of `performance.now()`.
 */
export function remainingDeadline({ spec, deadlineMs }: CheckedSpec, requestedAt: number) {
  if (spec.deadlineMs !== undefined) return spec.deadlineMs;
  return deadlineMs && Math.max(1, deadlineMs - (performance.now() - requestedAt));
}
