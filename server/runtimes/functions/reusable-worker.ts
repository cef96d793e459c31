/** One process that is reused from call to call. Each call sees only its own output and exit. */
import { randomDigits } from "../../../openapi/names.ts";
import { afterSilence } from "../../../sdk/typescript/time/silence.ts";
import { within } from "../../../sdk/typescript/time/within.ts";
import { exitWithin } from "../../sandbox/exit.ts";
import type { Exit, SandboxedProcess } from "../../sandbox/sandbox.ts";
import type { StartedWork, Work } from "../runtime.ts";
import { lineOf } from "./messages.ts";
import { OutputSplitter } from "./output-splitter.ts";
import { outcomeOfReport, outcomeWithoutReport, type ReadReport, readReport } from "./report.ts";
import {
  createJob,
  END_TIMEOUT_MS,
  SILENT_END_TIMEOUT_MS,
  usageSince,
  usedSince,
  type Worker,
} from "./worker.ts";

/**
 * The exit of a call after which its process waits for another. The report has the call's usage.
 */
const CALL_ENDED: Exit = {
  exitCode: 0,
  signal: null,
  started: true,
  exceeded: undefined,
  usage: undefined,
};

/** A waiting runner accepts a job at once. A call does not wait longer for one that cannot. */
const ACCEPT_TIMEOUT_MS = 2_000;

/**
 * 100 ms of processor time, which the program may use between two calls, for example to collect
 * garbage.
 */
const MAX_REST_MS = 100;

/** 500 ms: how long a count of tasks stands for a look at the processes, which takes longer. */
const MAX_COUNTED_MS = 500;

/** The output of one call: whether both streams have ended, and when. */
interface CallOutput {
  isOver(): boolean;
  over(): Promise<unknown>;
}

export interface ReusedCall {
  readonly started: StartedWork;
  /** Resolves with false when the process ended before it accepted the job: nothing was called. */
  readonly accepted: Promise<boolean>;
}

export class ReusableWorker {
  readonly process: SandboxedProcess;
  readonly #worker: Worker;
  readonly #stdout: OutputSplitter;
  readonly #stderr: OutputSplitter;
  #isCalling = false;
  #uses = 0;
  /** Processor time of the calls before this one and of the start; undefined before the first. */
  #usedMs: number | undefined;
  /** When no process ran beside the program's, and the tasks that it had. */
  #alone = { atMs: Number.NEGATIVE_INFINITY, tasks: 0 };
  /** Processor time when the process was first checked after its last call. */
  #restedMs: number | undefined;
  /** Whether an event, such as a signal or stray output, keeps the process from another call. */
  #isSpoilt = false;

  constructor(worker: Worker) {
    const { process, channel } = worker;
    this.process = process;
    this.#worker = worker;
    const spoil = () => {
      this.#isSpoilt = true;
      if (!this.#isCalling) process.kill();
    };
    this.#stdout = new OutputSplitter(process.stdout, spoil);
    this.#stderr = new OutputSplitter(process.stderr, spoil);
    channel.onStray = spoil;
    process.stdin?.end();
    void process.exited.then(() => {
      this.#isSpoilt = true;
      channel.close();
    });
  }

  /** The number of calls so far. */
  get uses(): number {
    return this.#uses;
  }

  /**
   * Whether the call before left nothing running, neither a process nor a thread that takes
   * processor time. The runner inside cannot judge this, because the function may have changed it.
   */
  isResting(): boolean {
    const usedMs = this.process.usedMs() ?? 0;
    this.#restedMs ??= usedMs;
    return this.process.isAlone() && usedMs - this.#restedMs < MAX_REST_MS;
  }

  /** Whether no process runs beside the program. A new one is a new task, unless one has ended. */
  #isAlone(): boolean {
    const { process } = this;
    const tasks = process.tasks();
    const nowMs = performance.now();
    const { atMs, tasks: counted } = this.#alone;
    if (tasks === counted && nowMs - atMs < MAX_COUNTED_MS) return true;
    if (!process.isAlone()) return false;
    if (tasks !== undefined) this.#alone = { atMs: nowMs, tasks };
    return true;
  }

  /**
   * @param keep called when the process can take another call. Returns whether it waits for one.
   * @param isFresh whether the process was started for this call, which then waits for it.
   */
  call(work: Work, keep: () => boolean, isFresh = false): ReusedCall {
    const { process } = this;
    const marker = randomDigits();
    const job = createJob(work, marker);
    const usedMs = this.#usedMs ?? process.usedMs() ?? 0;
    this.#usedMs = usedMs;
    this.#isCalling = true;
    this.#uses += 1;
    const [stdout, stderr] = [this.#stdout.next(marker), this.#stderr.next(marker)];
    this.#worker.channel.send(job);
    const accepted = Promise.withResolvers<boolean>();
    if (!isFresh) {
      const cancel = afterSilence(ACCEPT_TIMEOUT_MS, () => process.kill());
      void accepted.promise.then(cancel);
    }
    const acceptedLine = lineOf({ kind: "accepted", marker });
    const received = this.#worker.channel.receive(work.onProgress, (line) => {
      const isExpected = line === acceptedLine;
      if (isExpected) accepted.resolve(true);
      return isExpected;
    });
    const reported = received.then((received) => {
      // A process that sends any other line may have begun the job.
      accepted.resolve(received !== "ended");
      return received === "ended" ? received : readReport(received, job);
    });
    const output = {
      isOver: () => stdout.stream.isOver && stderr.stream.isOver,
      over: () => Promise.all([stdout.whole, stderr.whole]),
    };
    const started: StartedWork = {
      process: {
        ...process,
        stdout: stdout.stream,
        stderr: stderr.stream,
        stdin: null,
        channel: null,
        usedMs: () => usedSince(usedMs, process),
        exited: reported
          .then((report) => this.#end(report, output, keep))
          .then((exit) => usageSince(usedMs, exit)),
        signal: (signal) => {
          this.#isSpoilt = true;
          return process.signal(signal);
        },
      },
      outcome: reported.then(async (report) =>
        report === "ended"
          ? outcomeWithoutReport(await process.exited)
          : outcomeOfReport(report, job.encoding),
      ),
      drain: () => this.#worker.channel.notify({ kind: "drain" }),
    };
    return { started, accepted: accepted.promise };
  }

  async #end(report: ReadReport | "ended", output: CallOutput, keep: () => boolean): Promise<Exit> {
    const isClean =
      typeof report === "object" && report.clean === true && (await this.#isWhole(output));
    if (isClean && !this.#isSpoilt && this.#isAlone() && keep()) {
      this.#usedMs = (this.#usedMs ?? 0) + report.cpuMs;
      this.#restedMs = undefined;
      this.#isCalling = false;
      return CALL_ENDED;
    }
    // Without a report, the process is about to exit by itself, with a code that its caller gets.
    if (report !== "ended") this.process.kill();
    return exitWithin(SILENT_END_TIMEOUT_MS, this.process);
  }

  /**
   * Whether the call's output has ended. The runner writes it before its report, so that only a
   * slow reader can delay it.
   */
  async #isWhole({ isOver, over }: CallOutput): Promise<boolean> {
    while (!isOver()) {
      await within(END_TIMEOUT_MS, over());
      if (!isOver() && !this.#stdout.paused && !this.#stderr.paused) return false;
    }
    return true;
  }
}
