/** A process that runs functions, from its job to its report. */
import { afterSilence } from "../../../sdk/typescript/time/silence.ts";
import { exitWithin } from "../../sandbox/exit.ts";
import type { Exit, SandboxedProcess } from "../../sandbox/sandbox.ts";
import { contextEnvironment, type StartedWork, type Work } from "../runtime.ts";
import { Channel } from "./channel.ts";
import type { Job } from "./messages.ts";
import { outcomeOfReport, outcomeWithoutReport, readReport } from "./report.ts";

/** After its report, a runner only exits; after its exit, its output is soon read. */
export const END_TIMEOUT_MS = 1_000;
/**
 * A runner that closed its channel without a report may be about to exit. Its exit code is worth a
 * longer wait on a busy machine; a function that runs on in secret is killed.
 */
export const SILENT_END_TIMEOUT_MS = 5_000;

/** @param marker of the job, for a runner that stays for further jobs. */
export function createJob({ call, context }: Work, marker?: string): Job {
  return {
    kind: "job",
    args: [],
    encoding: "json",
    ...call,
    context,
    env: contextEnvironment(context),
    marker,
  };
}

export class Worker {
  readonly process: SandboxedProcess;
  readonly channel: Channel;

  constructor(process: SandboxedProcess) {
    if (!process.channel) throw new Error("expected a process with a channel");
    this.process = process;
    const channel = new Channel(process.channel);
    this.channel = channel;
    // A stray process may keep the channel open.
    void process.exited.then(() => afterSilence(END_TIMEOUT_MS, () => channel.close()));
  }

  /**
   * Calls a function. The process ends after the call.
   *
   * @param packs whether artifacts are packed after the runner's end, which may take until the
   *   deadline.
   * @param usedMs processor time before the call, in milliseconds, which its usage leaves out.
   */
  call(job: Job, onProgress: Work["onProgress"], { packs = false, usedMs = 0 } = {}): StartedWork {
    const { process, channel } = this;
    channel.send(job);
    return {
      process: {
        ...process,
        usedMs: () => usedSince(usedMs, process),
        exited: process.exited.then((exit) => usageSince(usedMs, exit)),
      },
      outcome: this.#outcome(job, onProgress, packs),
      drain: () => channel.notify({ kind: "drain" }),
    };
  }

  /** Resolves as soon as the report is there: later events in the process change nothing. */
  async #outcome(job: Job, onProgress: Work["onProgress"], packs: boolean) {
    const { process, channel } = this;
    const received = await channel.receive(onProgress);
    const timeoutMs = received === "ended" ? SILENT_END_TIMEOUT_MS : END_TIMEOUT_MS;
    const exited = packs ? process.exited : exitWithin(timeoutMs, process);
    void exited.then(() => channel.close());
    if (received === "ended") return outcomeWithoutReport(await exited);
    if (received === "too long") process.kill();
    return outcomeOfReport(readReport(received, job), job.encoding);
  }
}

/** Processor time without that before the call, in milliseconds. */
export function usedSince(
  before: number,
  process: Pick<SandboxedProcess, "usedMs">,
): number | undefined {
  const now = process.usedMs();
  return now === undefined ? undefined : Math.max(0, now - before);
}

/** An exit whose usage leaves out the processor time before the call, in milliseconds. */
export function usageSince(usedMs: number, exit: Exit): Exit {
  if (usedMs === 0 || exit.usage?.cpuMs == null) return exit;
  return { ...exit, usage: { ...exit.usage, cpuMs: Math.max(0, exit.usage.cpuMs - usedMs) } };
}
