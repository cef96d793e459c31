/** A program of the benchmarks as a process of its own, which answers one task at a time. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { cleanEnvironment } from "../../helpers/processes.ts";
import { within } from "../../helpers/wait.ts";

const ANSWER_MS = 180_000;
const EXIT_MS = 10_000;

export class Worker<Task extends object, Answer> {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #gone: Promise<never>;

  /** @param name of the program in `programs/`. */
  constructor(name: string, args: readonly string[] = []) {
    this.#name = name;
    const file = fileURLToPath(new URL(`../programs/${name}.ts`, import.meta.url));
    this.#process = fork(file, args, { env: cleanEnvironment() });
    this.#gone = once(this.#process, "exit").then(([code, signal]) => {
      throw new Error(`${name} ended: code ${code}, signal ${signal}`);
    });
    this.#gone.catch(() => {});
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  async run(task: Task): Promise<Answer> {
    const answered = once(this.#process, "message") as Promise<[Answer]>;
    this.#process.send(task);
    const first = Promise.race([answered, this.#gone]);
    const [answer] = await within(`an answer of ${this.#name}`, ANSWER_MS, first);
    return answer;
  }

  async end(): Promise<void> {
    this.#process.kill("SIGKILL");
    await within(`the end of ${this.#name}`, EXIT_MS, this.#gone).catch(() => {});
  }
}
