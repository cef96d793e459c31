/** One process that is used again, from call to call: each call sees its own output alone, and an end of its own. */
import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Exit, SandboxedProcess } from "../../sandbox/sandbox.ts";
import type { StartedWork, Work } from "../runtime.ts";
import { begun, type Report } from "./messages.ts";
import { OutputSplitter } from "./output-splitter.ts";
import {
  crashed,
  END_TIMEOUT_MS,
  jobOf,
  outcomeOf,
  readReport,
  receivedFrom,
  SILENT_END_TIMEOUT_MS,
  type Worker,
  withoutTime,
} from "./worker.ts";

const MARKER_BYTES = 16;
/** The end of a call after which the process goes on; the report tells what the call used. */
const GOES_ON: Exit = {
  exitCode: 0,
  signal: null,
  started: true,
  exceeded: undefined,
  usage: undefined,
};

/** One that has been kept begins with a job at once; a call is not made to wait for one that cannot any more. */
const BEGIN_TIMEOUT_MS = 2_000;

type Told = Report | undefined | "too long" | "nothing";

export interface ReusedCall {
  readonly started: StartedWork;
  /** Resolves with false when the process has ended before it began: then nothing was called. */
  readonly begun: Promise<boolean>;
}

export class ReusableWorker {
  readonly process: SandboxedProcess;
  readonly #channel: Worker["channel"];
  readonly #stdout: OutputSplitter;
  readonly #stderr: OutputSplitter;
  #atWork = false;
  /** Whether it has done, or been told, what keeps it from being used again. */
  #spoilt = false;

  constructor({ process, channel }: Worker) {
    this.process = process;
    this.#channel = channel;
    const spoil = () => {
      this.#spoilt = true;
      if (!this.#atWork) process.kill();
    };
    this.#stdout = new OutputSplitter(process.stdout, spoil);
    this.#stderr = new OutputSplitter(process.stderr, spoil);
    channel.onStray = spoil;
    process.stdin?.end();
    void process.exited.then(() => {
      this.#spoilt = true;
      channel.close();
    });
  }

  /** @param keep called when the process can be used again; whether it will be. */
  call(work: Work, keep: () => boolean): ReusedCall {
    const { process } = this;
    const channel = this.#channel;
    const marker = randomBytes(MARKER_BYTES).toString("hex");
    const job = jobOf(work, marker);
    const usedMs = process.usedMs() ?? 0;
    this.#atWork = true;
    const [stdout, stderr] = [this.#stdout.next(marker), this.#stderr.next(marker)];
    channel.send(job);
    let begin: (begun: boolean) => void = () => {};
    const isBegun = new Promise<boolean>((resolve) => {
      begin = resolve;
    });
    const timer = setTimeout(() => process.kill(), BEGIN_TIMEOUT_MS);
    void isBegun.then(() => clearTimeout(timer));
    const passes = (line: string) => {
      const isIt = line === begun(marker);
      if (isIt) begin(true);
      return isIt;
    };
    const told: Promise<Told> = receivedFrom(process, channel, work.onProgress, passes).then(
      (received) => {
        // Whatever else it says, it may have begun.
        begin(received !== "nothing");
        return received === "nothing" ? received : readReport(received, job);
      },
    );
    const pieces = Promise.all([stdout.whole, stderr.whole]);
    const started: StartedWork = {
      process: {
        ...process,
        stdout: stdout.stream,
        stderr: stderr.stream,
        stdin: null,
        channel: null,
        exited: this.#end(told, pieces, keep).then((exit) => withoutTime(exit, usedMs)),
        signal: (signal) => {
          this.#spoilt = true;
          return process.signal(signal);
        },
      },
      outcome: told.then(async (report) =>
        report === "nothing" ? crashed(await process.exited) : outcomeOf(report, job.encoding),
      ),
      drain: () => channel.send({ type: "drain" }),
    };
    return { started, begun: isBegun };
  }

  async #end(told: Promise<Told>, pieces: Promise<unknown>, keep: () => boolean): Promise<Exit> {
    const report = await told;
    const clean =
      typeof report === "object" && report.clean === true && (await this.#whole(pieces));
    if (clean && !this.#spoilt && keep()) {
      this.#atWork = false;
      return GOES_ON;
    }
    // Without a report it is about to end by itself, in a way that its caller is told.
    const timer = setTimeout(() => this.process.kill(), SILENT_END_TIMEOUT_MS);
    if (report !== "nothing") this.process.kill();
    const exit = await this.process.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Whether the call's output has ended. The runner has written it before its report, so that only a slow reader holds it up. */
  async #whole(pieces: Promise<unknown>): Promise<boolean> {
    for (;;) {
      const over = new AbortController();
      const whole = await Promise.race([
        pieces.then(() => true),
        delay(END_TIMEOUT_MS, false, { signal: over.signal }).catch(() => false),
      ]);
      over.abort();
      if (whole || !(this.#stdout.paused || this.#stderr.paused)) return whole;
    }
  }
}
