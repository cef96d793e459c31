/** Prints the results of `dpool map`: of each input, its failure, and how far the map has come. */
import type { RunProblem } from "../../../openapi/errors.ts";
import { shown } from "../../member/options/expectation.ts";
import { jsonValue, valueText } from "../output/value-text.ts";
import { write, writeJson } from "../output/write.ts";
import { ProgressBar } from "../terminal/progress-bar.ts";
import { writeOutput } from "./run.ts";

/** How one input ended. */
export interface Outcome {
  /** The number of its line, from 1 on. */
  readonly line: number;
  readonly input: unknown;
  /** The result of `run`, unless the input failed. An exit code other than 0 is a failure, too. */
  readonly result?: Result;
  readonly problem?: RunProblem;
}

interface Result {
  readonly child: string;
  readonly stdout: string;
  readonly stderr: string;
  readonly truncated: boolean;
  readonly exitCode?: number;
  readonly value?: unknown;
}

export const hasFailed = ({ result, problem }: Outcome): boolean =>
  problem !== undefined || (result?.exitCode ?? 0) !== 0;

export class MapReport {
  readonly #json: boolean;
  readonly #bar = new ProgressBar(process.stderr);
  /** The outcomes that are to be printed, by line. */
  readonly #ended = new Map<number, Outcome>();
  #done = 0;
  #failed = 0;

  constructor(json: boolean) {
    this.#json = json;
  }

  get failed(): number {
    return this.#failed;
  }

  /** Counts an input that has ended. On a terminal, stderr shows the counts. */
  count(outcome: Outcome, running: number): void {
    this.#ended.set(outcome.line, outcome);
    this.#done += 1;
    if (hasFailed(outcome)) this.#failed += 1;
    const failed = this.#failed > 0 ? `, ${this.#failed} failed` : "";
    this.#bar.show({ done: this.#done, message: `done, ${running} running${failed}` });
  }

  /** Prints the result of an input. */
  async print(outcome: Outcome): Promise<void> {
    this.#ended.delete(outcome.line);
    this.#bar.clear();
    if (this.#json) await printJson(outcome);
    else await printText(outcome);
    this.#bar.restore(!process.stdout.isTTY || endsLine(outcome));
  }

  /** Prints what has ended and waited for its turn. Then tells how many inputs failed. */
  async end(): Promise<void> {
    const left = [...this.#ended.values()].toSorted((one, other) => one.line - other.line);
    for (const outcome of left) await this.print(outcome);
    this.#bar.clear();
    if (this.#failed === 0) return;
    await write(process.stderr, `dpool: ${this.#failed} of ${this.#done} inputs failed\n`);
  }
}

async function printJson({ line, input, result, problem }: Outcome): Promise<void> {
  const value = result && "value" in result ? { value: jsonValue(result.value) } : {};
  await writeJson({ line, input, ...result, ...value, ...(problem && { problem }) });
}

async function printText({ line, input, result, problem }: Outcome): Promise<void> {
  await writeOutput(result ?? problem ?? {}, `line ${line}: `);
  if (result && "value" in result) await write(process.stdout, `${valueText(result.value)}\n`);
  const fault = problem
    ? `${problem.code}: ${problem.detail}`
    : result?.exitCode && `exit code ${result.exitCode}`;
  if (fault) await write(process.stderr, `dpool: line ${line}, ${shown(input)}: ${fault}\n`);
}

/** Whether the last that was printed of an outcome ends its line. */
const endsLine = (outcome: Outcome): boolean =>
  hasFailed(outcome) ||
  outcome.result === undefined ||
  "value" in outcome.result ||
  /(^|\n)$/.test(outcome.result.stderr || outcome.result.stdout);
