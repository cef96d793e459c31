/**
 * Watches whether children of one pool can be started. When several in a row cannot, a probe starts
 * a program of its own. While the probe fails too, the pool admits nothing.
 */
import { messageOf } from "../../openapi/errors.ts";

/** 3 failed starts in a row, after which the probe decides. */
const FAILURES = 3;
/** The pause between probes: 1 second at first, doubled up to 30. */
const FIRST_PAUSE_MS = 1_000;
const LAST_PAUSE_MS = 30_000;
/** 1 minute until the pauses are short again. */
const QUIET_MS = 60_000;

/** 300 characters of a reason. */
const MAX_REASON = 300;

/** The last line of a message, which as a rule names the cause. */
function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(-MAX_REASON) ?? "";
}

/** A text for everybody, without paths of the host. */
function withoutPaths(text: string): string {
  return text.replaceAll(/(?<![\w.])\/[^\s'":,)]+/g, "…");
}

export interface StartHealthOptions {
  /** Starts a program as a child would be. Rejects with the reason when it cannot be started. */
  probe(): Promise<void>;
  log(level: "info" | "warn", message: string): void;
  /** Called when the trouble begins, and when it ends. */
  onChange(): void;
}

export class StartHealth {
  readonly #options: StartHealthOptions;
  #trouble: string | undefined;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #wellAt = Number.NEGATIVE_INFINITY;
  #isProbing = false;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: StartHealthOptions) {
    this.#options = options;
  }

  /** Why no child can be started, without paths; undefined when children can be started. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** Counts one start. The sandbox has logged why it failed. */
  note(hasFailed: boolean): void {
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    if (this.#failures >= FAILURES) void this.#probe();
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  async #probe(): Promise<void> {
    if (this.#isProbing || this.#isClosed) return;
    this.#isProbing = true;
    const trouble = await this.#options.probe().then(
      () => undefined,
      (error: unknown) => lastLine(messageOf(error)),
    );
    this.#isProbing = false;
    if (this.#isClosed) return;
    this.#set(trouble);
    if (trouble === undefined) return;
    this.#timer = setTimeout(() => void this.#probe(), this.#pauseMs).unref();
    this.#pauseMs = Math.min(LAST_PAUSE_MS, this.#pauseMs * 2);
  }

  #set(trouble: string | undefined): void {
    const before = this.#trouble;
    this.#trouble = trouble && withoutPaths(trouble);
    this.#failures = 0;
    if ((before === undefined) === (trouble === undefined)) return;
    const now = performance.now();
    if (trouble === undefined) {
      this.#wellAt = now;
      this.#options.log("info", "children can be started again");
    } else {
      // A member that fails again soon stays away for longer.
      if (now - this.#wellAt > QUIET_MS) this.#pauseMs = FIRST_PAUSE_MS;
      this.#options.log("warn", `children could not be started, so none is admitted: ${trouble}`);
    }
    this.#options.onChange();
  }
}
