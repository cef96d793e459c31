/**
 * Reads a file of bearer tokens, which holds one hash per line, and reads it again when it changes.
 */
import { createHash, randomBytes } from "node:crypto";
import { statSync } from "node:fs";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { PoolNameSchema } from "../../openapi/schemas/names.ts";
import { watchFiles } from "../http/file-watcher.ts";
import { Caller, SCOPES, type Scope } from "./caller.ts";
import { QUOTA_NAMES, type Quotas, quotasOf } from "./quotas.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._@-]{0,62}$/;

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

function isScope(word: string): word is Scope {
  return (SCOPES as readonly string[]).includes(word);
}

/**
 * Splits a comma-separated list. Throws an error that says what was expected if a word does not
 * fit.
 */
function words(text: string, isWord: (word: string) => boolean, expected: string): Set<string> {
  const list = text.split(",");
  for (const word of list)
    if (!isWord(word)) throw new Error(`expected ${expected}; got ${JSON.stringify(word)}`);
  return new Set(list);
}

const scopesOf = (text: string) => words(text, isScope, SCOPES.join(", ")) as Set<Scope>;
const poolsOf = (text: string) =>
  text === "*"
    ? "*"
    : words(text, (word) => PoolNameSchema.safeParse(word).success, "* or pool names");

function requireName(name: string): void {
  if (!NAME.test(name))
    throw new Error(`expected a name of letters, digits, . _ @ -; got ${JSON.stringify(name)}`);
}

const SETTINGS: readonly string[] = ["scopes", "pools", ...QUOTA_NAMES];

function parseLine(line: string): { readonly hash: string; readonly caller: Caller } {
  const [name = "", hash = "", ...settings] = line.split(/\s+/);
  requireName(name);
  // The message does not show the word: an operator may have put the token itself there by mistake.
  if (!/^sha256:[0-9a-f]{64}$/.test(hash))
    throw new Error(
      `expected sha256: and 64 hexadecimal digits behind ${name}; ` +
        `got ${hash.length} other characters`,
    );
  const values = new Map<string, string>();
  for (const setting of settings) {
    const [key = "", ...value] = setting.split("=");
    if (!SETTINGS.includes(key))
      throw new Error(
        `expected ${SETTINGS.map((name) => `${name}=`).join(", ")}; got ${JSON.stringify(setting)}`,
      );
    if (values.has(key)) throw new Error(`expected ${key} once; got it twice`);
    values.set(key, value.join("="));
  }
  const scopes = scopesOf(values.get("scopes") ?? "");
  const text = values.get("pools") ?? (scopes.has("admin") ? "*" : undefined);
  if (text === undefined) throw new Error("expected pools=NAME,... or pools=*; got neither");
  return {
    hash: hash.slice("sha256:".length),
    caller: new Caller(name, { scopes, pools: poolsOf(text) }, quotasOf(values)),
  };
}

/**
 * Parses a token file. Each line is `NAME sha256:HEX scopes=call,observe pools=pipeline,gpu`, and
 * may have quotas, such as `maxChildren=3`. `#` begins a comment.
 *
 * @returns the callers by the hashes of their tokens.
 * @throws an error that names the line, and says what was expected and what the line has.
 */
export function parseTokens(text: string): Map<string, Caller> {
  const callers = new Map<string, Caller>();
  const names = new Set<string>();
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.replace(/(^|\s)#.*$/, "").trim();
    if (line === "") continue;
    try {
      const { hash, caller } = parseLine(line);
      if (names.has(caller.name))
        throw new Error(`expected each name once; got ${caller.name} again`);
      if (callers.has(hash))
        throw new Error(
          `expected each token once; ${caller.name} has that of ${callers.get(hash)?.name}`,
        );
      names.add(caller.name);
      callers.set(hash, caller);
    } catch (error) {
      throw new Error(`line ${index + 1}: ${messageOf(error)}`, { cause: error });
    }
  }
  return callers;
}

/** A new token, which is shown once, and its line for the token file. */
export interface NewToken {
  readonly token: string;
  readonly line: string;
}

/** The rights of the holder of a new token. */
export interface TokenGrant {
  readonly scopes: readonly string[];
  /** The names of pools, or `*`. */
  readonly pools: readonly string[];
  readonly quotas: Quotas;
}

/**
 * Makes a token of 256 random bits, and its line for the token file.
 *
 * @throws {PoolError} `invalid_request` where a token file would refuse the line.
 */
export function tokenFor(name: string, { scopes, pools, quotas }: TokenGrant): NewToken {
  const token = `dpool_${randomBytes(32).toString("base64url")}`;
  const words = { scopes: scopes.join(","), pools: pools.join(","), ...quotas };
  const settings = Object.entries(words)
    .map(([key, value]) => `${key}=${value}`)
    .join(" ");
  const line = `${name} sha256:${hashOf(token)} ${settings}`;
  try {
    requireName(name);
    parseLine(line);
  } catch (error) {
    throw PoolError.of("invalid_request", messageOf(error));
  }
  return { token, line };
}

/** A token without quotas. @throws {PoolError} as {@link tokenFor} does. */
export function newToken(
  name: string,
  scopes: readonly string[],
  pools: readonly string[],
): NewToken {
  return tokenFor(name, { scopes, pools, quotas: {} });
}

export type Log = (level: "info" | "warn" | "error", message: string) => void;

/** A mode of a file that lets too many read it or write it. */
export interface ModeFault {
  readonly message: string;
  /** Whether others may write it. */
  readonly isWritable: boolean;
}

/** Finds what is doubtful about the mode of a token file; undefined for nothing. */
export function modeFault(file: string): ModeFault | undefined {
  const mode = statSync(file).mode & 0o777;
  const shown = `(mode ${mode.toString(8)})`;
  if (mode & 0o022)
    return {
      message: `others than its owner may write it ${shown}, and so let themselves in`,
      isWritable: true,
    };
  if (mode & 0o004)
    return { message: `everybody may read it ${shown}; it has only hashes`, isWritable: false };
  return undefined;
}

export class TokenFile {
  /** Is called after each change of the file. */
  onChange: () => void = () => {};
  readonly #close: () => void;
  #callers = new Map<string, Caller>();
  #quotas = new Map<string, Quotas>();

  /**
   * @throws {PoolError} `invalid_request` for a file that cannot be read, or a line that makes no
   * sense.
   */
  constructor(file: string, log: Log) {
    let first = true;
    const say = (level: Parameters<Log>[0], message: string) =>
      log(level, `token file ${file}: ${message}`);
    try {
      this.#close = watchFiles(
        [file],
        ([text = ""]) => {
          this.#callers = parseTokens(text);
          const callers = [...this.#callers.values()];
          this.#quotas = new Map(callers.map(({ name, quotas }) => [name, quotas]));
          this.onChange();
          if (!first || this.#callers.size === 0)
            say(first ? "warn" : "info", `${this.#callers.size} tokens`);
          first = false;
        },
        (message) => say("error", `${message}; the tokens before stay`),
      );
      const fault = modeFault(file);
      if (fault) say("warn", fault.message);
    } catch (error) {
      throw PoolError.of("invalid_request", `token file ${file}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  /**
   * Returns the caller of a token. The lookup is by hash, so its time tells nothing about other
   * tokens.
   */
  callerOf(token: string): Caller | undefined {
    return this.#callers.get(hashOf(token));
  }

  /** The quotas of the caller of this name, as the file has them now. */
  quotasOf(name: string): Quotas | undefined {
    return this.#quotas.get(name);
  }

  /** Stops watching the file. */
  close(): void {
    this.#close();
  }
}
