/** Reads the streams of a child: output and progress go into its log, artifacts into a file. */
import type { Progress } from "../../openapi/events.ts";
import { MAX_FILES } from "../../openapi/limits.ts";
import type { ChildSpec } from "../../openapi/schemas/spec.ts";
import { within } from "../../sdk/typescript/time/within.ts";
import { readProgress } from "../runtimes/progress.ts";
import type { Output, WorkProcess } from "../runtimes/runtime.ts";
import type { ChildLimits } from "../sandbox/confinement.ts";
import { Artifacts } from "../workspace/artifacts.ts";
import type { ChildObserver, ObservedChild } from "./observed/observer.ts";
import { OutputBatcher } from "./output/batcher.ts";
import type { EventLog } from "./output/event-log.ts";
import { pieces } from "./output/pieces.ts";
import { ProgressThrottle } from "./output/progress-throttle.ts";

/** 1 s of silence after the end of the process closes a pipe that has stayed open. */
const SILENCE_TIMEOUT_MS = 1_000;

/** 10 s for the artifacts after the end: without a sandbox, a stray process may hold their pipe. */
const ARTIFACTS_TIMEOUT_MS = 10_000;

export interface ChildStreamsOptions {
  readonly log: EventLog;
  readonly spec: Pick<ChildSpec, "outputEncoding" | "artifacts">;
  readonly limits: ChildLimits;
  /** A folder private to the server, for the artifacts. */
  readonly folder: string;
  /** The child, and whoever learns what it writes. */
  readonly child: ObservedChild;
  readonly observer?: ChildObserver | undefined;
  /** Is called with each chunk of output beyond the limit. */
  readonly onTooMuchOutput: (detail: string) => void;
  /** Is called with the progress that enters the log. */
  readonly onProgress: (latest: Progress) => void;
}

export class ChildStreams {
  readonly #options: ChildStreamsOptions;
  readonly #progress: ProgressThrottle;
  #process: WorkProcess | undefined;
  #outputs: Promise<unknown> = Promise.resolve();
  #artifacts: Promise<Artifacts> | undefined;
  #endArtifacts: () => void = () => {};
  #outputBytes = 0;

  constructor(options: ChildStreamsOptions) {
    this.#options = options;
    const { log, onProgress, child, observer } = options;
    this.#progress = new ProgressThrottle({
      take: (latest) => {
        log.append({ type: "progress", ...latest });
        onProgress(latest);
        observer?.progressed?.(child);
      },
      hasRoom: () => log.writable,
    });
  }

  /** Takes the progress that a function reports. */
  onProgress = (latest: Progress): void => this.#progress.push(latest);

  /** Reads the process's streams from now on. */
  attach(process: WorkProcess): void {
    const { spec, limits, folder } = this.#options;
    this.#process = process;
    this.#outputs = Promise.all([
      this.#carry(process.stdout, "stdout"),
      this.#carry(process.stderr, "stderr"),
      process.progress && readProgress(process.progress, process.exited, this.onProgress),
    ]);
    if (!process.artifacts) return;
    const timeout = new AbortController();
    this.#endArtifacts = () => timeout.abort();
    this.#artifacts = Artifacts.receive(process.artifacts, {
      patterns: spec.artifacts ?? [],
      maxBytes: limits.artifactBytes,
      maxFiles: MAX_FILES,
      folder,
      signal: timeout.signal,
    });
  }

  /** Reads the rest of the output after the process's end. */
  async end(): Promise<void> {
    await this.#drainOutputs();
    this.#progress.end();
  }

  /** The artifacts, if any, after the process's end. */
  async artifacts(): Promise<Artifacts | undefined> {
    if (!this.#artifacts) return undefined;
    await within(ARTIFACTS_TIMEOUT_MS, this.#artifacts);
    this.#endArtifacts();
    return this.#artifacts;
  }

  /** Waits for the outputs' ends, or for silence: a stray process may hold them open. */
  async #drainOutputs(): Promise<void> {
    let drained = false;
    const done = this.#outputs.then(() => {
      drained = true;
    });
    while (!drained) {
      const before = this.#outputBytes;
      await within(SILENCE_TIMEOUT_MS, done);
      if (drained || !this.#options.log.writable || before !== this.#outputBytes) continue;
      this.#process?.stdout.destroy();
      this.#process?.stderr.destroy();
    }
  }

  /** Carries one output into the log, no faster than the log takes it. */
  async #carry(stream: Output, type: "stdout" | "stderr"): Promise<void> {
    const { log, spec, limits, child, observer, onTooMuchOutput } = this.#options;
    const batcher = new OutputBatcher({
      text: spec.outputEncoding === "text",
      take: (bytes) => {
        for (const piece of pieces(bytes, spec.outputEncoding))
          log.write(type, piece, spec.outputEncoding);
      },
    });
    const maxBytes = limits.outputBytes;
    try {
      for await (const received of stream) {
        const chunk = received.subarray(0, Math.max(0, maxBytes - this.#outputBytes));
        this.#outputBytes += received.length;
        observer?.wrote?.(child, received.length);
        if (this.#outputBytes > maxBytes)
          onTooMuchOutput(`the child wrote more than ${maxBytes} bytes of output`);
        if (chunk.length > 0) batcher.push(chunk);
        if (!log.writable) await log.untilWritable();
      }
    } catch {
      // The pipe broke. The log has the bytes that came before.
    }
    batcher.end();
  }
}
