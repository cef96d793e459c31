/** The terminal in which this command runs, while it shows the terminal of a child. */
import { Transform } from "node:stream";
import type { TerminalSize } from "../../../openapi/schemas/limits.ts";
import { rawMode } from "../../sandbox/stty.ts";
import { UsageError } from "../usage-error.ts";

/** The size of a terminal that does not tell its own. */
const USUAL_SIZE = { rows: 24, columns: 80 };
const MAX_SIZE = 4_096;

/** Ctrl-^, for which shells have no use. */
const LEAVE_KEY = 0x1e;
/** 3 times in a row, because programs have a use for it once. */
const LEAVE_TIMES = 3;

/**
 * Shows the usual screen and the cursor, and takes no clicks, whatever a program that was killed
 * left behind.
 */
const USUAL_SCREEN =
  "\x1b[?1047l\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l" +
  "\x1b[?1l\x1b>\x1b[m\n";

/** The variables that tell a child's programs what this terminal shows. */
const VARIABLES = ["TERM", "COLORTERM", "NO_COLOR"];

export class OwnTerminal {
  /** The keys, for the child's input. */
  readonly keys: Transform;
  readonly #screen = [process.stdout, process.stderr].find(({ isTTY }) => isTTY);
  #restore: (() => void) | undefined;
  #onResize: (() => void) | undefined;

  /**
   * @param onLeave is called when the person has pressed Ctrl-^ 3 times in a row.
   * @throws {UsageError} where stdin is no terminal.
   */
  constructor(onLeave = () => {}) {
    if (!process.stdin.isTTY)
      throw new UsageError("expected a terminal at the standard input; got another file");
    let pressed = 0;
    this.keys = new Transform({
      transform(chunk: Buffer, _, done) {
        for (const [index, byte] of chunk.entries()) {
          pressed = byte === LEAVE_KEY ? pressed + 1 : 0;
          if (pressed < LEAVE_TIMES) continue;
          onLeave();
          return done(null, chunk.subarray(0, index));
        }
        done(null, chunk);
      },
    });
  }

  get size(): TerminalSize {
    const { rows, columns } = this.#screen ?? USUAL_SIZE;
    return {
      rows: Math.min(rows || USUAL_SIZE.rows, MAX_SIZE),
      columns: Math.min(columns || USUAL_SIZE.columns, MAX_SIZE),
    };
  }

  /** Variables for the child. */
  get env(): Record<string, string> {
    return Object.fromEntries(
      VARIABLES.flatMap((name) => {
        const value = process.env[name];
        return value === undefined ? [] : [[name, value]];
      }),
    );
  }

  /**
   * Passes the keys on from now on, and follows the size of the window.
   *
   * @param resize sets the size of the child's terminal. Of sizes that come while it is under way,
   *   the last one counts.
   */
  open(resize: (size: TerminalSize) => Promise<unknown>): void {
    this.#restore = rawMode();
    let isChanged = false;
    let isSending = false;
    const send = async () => {
      isChanged = true;
      if (isSending) return;
      isSending = true;
      while (isChanged) {
        isChanged = false;
        // A child that has ended has no size any more.
        await resize(this.size).catch(() => {});
      }
      isSending = false;
    };
    this.#onResize = () => void send();
    this.#screen?.on("resize", this.#onResize);
    process.on("SIGCONT", this.#resume);
    process.on("exit", this.#end);
    process.stdin.pipe(this.keys);
  }

  /**
   * Restores the terminal. Idempotent.
   *
   * @param isBroken whether the child's programs may have left the screen in a state of their own.
   */
  close(isBroken: boolean): void {
    if (!this.#restore) return;
    process.stdin.unpipe(this.keys).pause();
    if (this.#onResize) this.#screen?.off("resize", this.#onResize);
    process.off("SIGCONT", this.#resume);
    process.off("exit", this.#end);
    this.#restore();
    this.#restore = undefined;
    if (isBroken) this.#screen?.write(USUAL_SCREEN);
  }

  readonly #end = () => this.close(true);

  /** The shell has set its own modes when it continues this process. */
  readonly #resume = () => {
    rawMode();
    this.#onResize?.();
  };
}
