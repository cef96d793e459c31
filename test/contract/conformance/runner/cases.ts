/** The cases as the files have them, checked against their schema. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { parse } from "yaml";

/** The outcome of an operation, or alternatives of it. */
export interface Expected {
  readonly value?: unknown;
  readonly code?: string | readonly string[];
  readonly error?: object;
  readonly events?: unknown;
  /** The stdout of all events, or of the value. */
  readonly stdout?: string;
  readonly anyOf?: readonly Expected[];
}

export interface Step {
  readonly op: string;
  readonly args?: Readonly<Record<string, unknown>>;
  /** The name under which later steps find the value. */
  readonly as?: string;
  readonly expect?: Expected;
}

/** Bytes that a fake member sends. */
export interface Part {
  readonly event?: { readonly type: string; readonly id?: number };
  readonly raw?: string;
  readonly base64?: string;
  readonly json?: unknown;
  readonly problem?: { readonly code: string; readonly status: number };
  /** Milliseconds before the bytes. */
  readonly delayMs?: number;
  /** How often the bytes are sent. Default: once. */
  readonly times?: number | "endless";
}

/**
 * `cut` closes the connection, `die` the port too; `hold` keeps the connection open until the
 * client closes it.
 */
export type Piece = Part | "cut" | "die" | "hold";

/** One answer of a fake member. */
export interface Exchange {
  /** `METHOD /path`; `*` in it stands for any text. */
  readonly to: string;
  /** How many requests get this answer. Default 1. */
  readonly times?: number | "any";
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sends chunks of this many bytes. Default: each piece is one chunk. */
  readonly split?: number;
  readonly send?: readonly Piece[];
}

/** A request that a fake member has to have got. */
export interface ExpectedRequest {
  readonly to: string;
  /** The name of the fake member. Default: any. */
  readonly at?: string;
  readonly headers?: object;
  readonly body?: unknown;
  /** Whether the client closed the connection before the end of the answer. */
  readonly closed?: boolean;
  /** The fewest and the most of such requests. Default: one. */
  readonly times?: readonly [number, number];
}

export interface Case {
  readonly id: string;
  readonly about: string;
  readonly needs?: readonly string[];
  readonly server: "real" | "script";
  /** Whether the case takes seconds, most of which the SDK waits. */
  readonly patient?: boolean;
  /** Whether the fake member serves https, with a certificate of `<ca>`. */
  readonly tls?: boolean;
  /** The answers of the fake member at `<url>`. */
  readonly script?: readonly Exchange[];
  /** The answers of several fake members, which the real Consul lists in `<pool>`. */
  readonly members?: Readonly<Record<string, readonly Exchange[]>>;
  /** The arguments of `open`. Default: `{ url: <url> }`. */
  readonly open?: Readonly<Record<string, unknown>>;
  readonly steps: readonly Step[];
  /** The outcome of the last step, and the requests that the fakes got. */
  readonly expect?: Expected & { readonly requests?: readonly (string | ExpectedRequest)[] };
}

const FOLDER = fileURLToPath(new URL("..", import.meta.url));
const read = (name: string) => readFileSync(`${FOLDER}${name}`, "utf8");

/** All cases, in the order of the files. @throws for a file that does not fit the schema. */
export function readCases(): Case[] {
  const schema = JSON.parse(read("case.schema.json")) as object;
  const validate = new Ajv({ allErrors: false, strict: false }).compile(schema);
  const files = readdirSync(FOLDER).filter((name) => name.endsWith(".yaml"));
  const cases = files.sort().flatMap((name) => {
    const list: unknown = parse(read(name), { merge: true });
    if (validate(list)) return list as Case[];
    const [fault] = validate.errors ?? [];
    const at = /^\/(\d+)/.exec(fault?.instancePath ?? "")?.[1];
    const { id } = ((list as Case[])[Number(at)] ?? {}) as Partial<Case>;
    throw new Error(`${name}: case ${id ?? at}: ${fault?.instancePath} ${fault?.message}`);
  });
  const ids = cases.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new Error(`expected ids that differ; ${twice} comes twice`);
  return cases;
}
