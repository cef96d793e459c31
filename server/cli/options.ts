/** Every option of the command line: its flag, its variable, its unit, its default, who takes it. The only reader of the environment. */
import { parseArgs } from "node:util";
import { ChildStatusSchema } from "../../openapi/resources.ts";
import {
  type ConsulOptions,
  consulOptionsFrom,
} from "../../sdk/typescript/placement/consul/consul-options.ts";
import { SCOPES } from "../access/caller.ts";
import { DEFAULTS } from "../member/options.ts";

/** A mistake of the person at the command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

type Environment = Readonly<Record<string, string | undefined>>;

export interface Option<T> {
  /** What stands for the value in help texts; none for a switch. */
  readonly value?: string;
  readonly short?: string;
  readonly repeatable?: boolean;
  readonly doc: string;
  /** Shown in help texts; what happens without the option. */
  readonly otherwise?: string;
  /** Turns the given text into the value; throws a {@link UsageError} that says what was expected. */
  parse(text: string, flag: string): T;
}

const text = (given: string) => given;

function whole(min: number, max: number) {
  return (given: string, flag: string): number => {
    const number = Number(given);
    if (!/^\d+$/.test(given) || number < min || number > max)
      throw new UsageError(
        `${flag}: expected a whole number from ${min} to ${max}; got ${JSON.stringify(given)}`,
      );
    return number;
  };
}

function oneOf<const T extends string>(...allowed: T[]) {
  return (given: string, flag: string): T => {
    const found = allowed.find((value) => value === given);
    if (found === undefined)
      throw new UsageError(
        `${flag}: expected ${allowed.join(" or ")}; got ${JSON.stringify(given)}`,
      );
    return found;
  };
}

function pool(given: string, flag: string): [string, number] {
  const [name = "", max, ...rest] = given.split("=");
  if (name === "" || rest.length > 0)
    throw new UsageError(
      `${flag}: expected NAME=MAX, such as pipeline=5; got ${JSON.stringify(given)}`,
    );
  return [name, max === undefined ? DEFAULTS.maxChildren : whole(1, 10_000)(max, flag)];
}

function list(given: string, flag: string): unknown[] {
  try {
    const value: unknown = JSON.parse(given);
    if (Array.isArray(value)) return value;
  } catch {
    // Said below.
  }
  throw new UsageError(
    `${flag}: expected a JSON array, such as [1, "two"]; got ${JSON.stringify(given)}`,
  );
}

const DAY_MS = 86_400_000;

export const OPTIONS = {
  pool: {
    value: "NAME=MAX",
    repeatable: true,
    doc: `A pool to serve, and how many children at most at a time (default ${DEFAULTS.maxChildren}). Repeatable.`,
    parse: pool,
  },
  port: {
    value: "PORT",
    doc: "Port to listen on; 0 for a free one. `dev` takes this and the ones after it.",
    otherwise: String(DEFAULTS.port),
    parse: whole(0, 65_535),
  },
  host: {
    value: "ADDRESS",
    doc: "Address to listen on. Anything but loopback wants --token-file, --jwks-url or --insecure.",
    otherwise: DEFAULTS.host,
    parse: text,
  },
  advertise: {
    value: "HOST:PORT",
    doc: "Where other machines reach this member.",
    otherwise: "where it listens",
    parse: text,
  },
  member: {
    value: "NAME",
    doc: "This member's name, unique among the members.",
    otherwise: "HOSTNAME-PORT",
    parse: text,
  },
  config: {
    value: "FILE",
    doc: "A YAML file: the words of the flags in camelCase, and pools with their limits and grants. Flags and variables win over it.",
    parse: text,
  },
  members: {
    value: "N",
    doc: "How many members to run in this process.",
    otherwise: "3",
    parse: whole(1, 100),
  },
  consul: {
    value: "ADDRESS",
    doc: "A Consul agent, such as http://127.0.0.1:8500. CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and the rest of that family are honoured.",
    otherwise:
      "CONSUL_HTTP_ADDR; without it `serve` takes http://127.0.0.1:8500, the others ask --url",
    parse: text,
  },
  sandbox: {
    value: "auto|no-cgroup|off",
    doc: "`auto` refuses to start where the sandbox does not hold in full; `no-cgroup` does without limits on whole children; `off` runs them as plain processes, on loopback only.",
    otherwise: "auto",
    parse: oneOf("auto", "no-cgroup", "off"),
  },
  "token-file": {
    value: "FILE",
    doc: "The tokens that callers have to show, as `dpool token` prints them; read again when it changes.",
    parse: text,
  },
  "jwks-url": {
    value: "URL",
    doc: "Take JWTs that are signed with a key found here; with --jwt-issuer and --jwt-audience.",
    parse: text,
  },
  "jwt-issuer": { value: "ISSUER", doc: "`iss` that a JWT must have.", parse: text },
  "jwt-audience": { value: "AUDIENCE", doc: "`aud` that a JWT must have.", parse: text },
  "tls-cert": {
    value: "FILE",
    doc: "Serve https with this certificate (PEM); also shown to other members. Read again when it changes.",
    parse: text,
  },
  "tls-key": { value: "FILE", doc: "The certificate's key (PEM).", parse: text },
  "tls-client-ca": {
    value: "FILE",
    doc: "Let in only those with a client certificate of this authority (PEM).",
    parse: text,
  },
  "tls-ca": {
    value: "FILE",
    doc: "The authority of the other members' certificates (PEM).",
    otherwise: "the well-known ones",
    parse: text,
  },
  tasks: {
    value: "DIR",
    doc: "A folder of modules that callers may run by name: each NAME.js, .mjs, .ts, .mts or .py in it is the task NAME.",
    parse: text,
  },
  "source-cache-bytes": {
    value: "BYTES",
    doc: "Bytes of functions' sources that are kept for callers who name them by their hashes.",
    otherwise: String(DEFAULTS.sourceCacheBytes),
    parse: whole(0, 1_073_741_824),
  },
  "request-timeout-ms": {
    value: "MS",
    doc: "How long a request may take to arrive, its body included; an upload, to go on.",
    otherwise: String(DEFAULTS.requestTimeoutMs),
    parse: whole(100, DAY_MS),
  },
  "max-rate": {
    value: "N",
    doc: "Requests a second from each token, or from each address where there are no tokens; twice as many at once.",
    otherwise: String(DEFAULTS.maxRate),
    parse: whole(1, 1_000_000),
  },
  "max-streams": {
    value: "N",
    doc: "Streams open at a time for each token, or address.",
    otherwise: String(DEFAULTS.maxStreams),
    parse: whole(1, 1_000_000),
  },
  token: {
    value: "TOKEN",
    doc: "The token to show. Better in the variable: other users of this machine can see a command's arguments.",
    parse: text,
  },
  ca: {
    value: "FILE",
    doc: "The authority of the members' certificates (PEM).",
    otherwise: "the well-known ones",
    parse: text,
  },
  cert: {
    value: "FILE",
    doc: "A client certificate (PEM), with --key, for members that want one.",
    parse: text,
  },
  key: { value: "FILE", doc: "The client certificate's key (PEM).", parse: text },
  scope: {
    value: "SCOPE",
    repeatable: true,
    doc: "`call`: place, stop and follow children. `observe`: see. `admin`: everything. Repeatable.",
    otherwise: "call and observe",
    parse: oneOf(...SCOPES),
  },
  in: {
    value: "POOL",
    repeatable: true,
    doc: "A pool that the token is for. Repeatable.",
    otherwise: "all pools",
    parse: text,
  },
  insecure: {
    doc: "Listen beyond loopback although callers need not show who they are.",
    parse: () => true,
  },
  "grace-ms": {
    value: "MS",
    doc: "Milliseconds between TERM and KILL.",
    otherwise: `${DEFAULTS.graceMs}; stop: the member's`,
    parse: whole(0, DAY_MS),
  },
  "remember-ms": {
    value: "MS",
    doc: "How long a child is remembered after its end: its events, its artifacts; at most the last 100 of each pool.",
    otherwise: String(DEFAULTS.rememberMs),
    parse: whole(0, DAY_MS),
  },
  "drain-ms": {
    value: "MS",
    doc: "How long children may go on for after TERM, INT or POST /drain, while nothing is admitted any more.",
    otherwise: String(DEFAULTS.drainMs),
    parse: whole(0, 7 * DAY_MS),
  },
  "deadline-ms": {
    value: "MS",
    doc: "serve, dev: the deadline of calls that name none. call, place: this child's deadline.",
    otherwise: `${DEFAULTS.deadlineMs} for calls, none for placed children`,
    parse: whole(1, 7 * DAY_MS),
  },
  "max-body-bytes": {
    value: "BYTES",
    doc: "Largest request body; multipart and a child's input have others.",
    otherwise: String(DEFAULTS.maxBodyBytes),
    parse: whole(1_024, 1_073_741_824),
  },
  "max-upload-bytes": {
    value: "BYTES",
    doc: "Largest multipart request, or input of a placed child that comes with it; four times as much is kept at a time, on disk.",
    otherwise: String(DEFAULTS.maxUploadBytes),
    parse: whole(1_024, 1_099_511_627_776),
  },
  url: {
    value: "URL",
    doc: "A member to ask; any one will do.",
    otherwise: `http://127.0.0.1:${DEFAULTS.port}`,
    parse: text,
  },
  "wait-ms": {
    value: "MS",
    doc: "How long to wait for a slot where all are taken.",
    otherwise: "0: refused at once",
    parse: whole(0, DAY_MS),
  },
  json: {
    value: "SPEC",
    doc: 'The child spec as JSON, such as \'{"function":{"source":"(a,b)=>a+b","args":[1,2]}}\'; instead of a command, or beside it.',
    parse: text,
  },
  task: { value: "NAME", doc: "Run this task of the members instead of a command.", parse: text },
  args: {
    value: "JSON",
    doc: "The task's arguments, such as '[1, \"two\"]'.",
    otherwise: "none",
    parse: list,
  },
  stdin: {
    value: "FILE",
    doc: "A file for the child's standard input; - for this one's. A call's is read as its child reads, and ends with it.",
    parse: text,
  },
  file: {
    value: "PATH[=FILE]",
    repeatable: true,
    doc: "A file for the child's workspace: its path there, and the file of this machine, if it is called otherwise. Repeatable.",
    parse: text,
  },
  artifact: {
    value: "PATTERN",
    repeatable: true,
    doc: "Files that the child leaves and that are kept, such as '*.png'. Repeatable.",
    parse: text,
  },
  out: { value: "FOLDER", doc: "Where the child's artifacts go on this machine.", parse: text },
  env: {
    value: "NAME=VALUE",
    repeatable: true,
    doc: "A variable for the child. Repeatable.",
    parse: text,
  },
  label: {
    value: "NAME=VALUE",
    repeatable: true,
    doc: "A label of the child; ps: only children with this label, or with a NAME. Repeatable.",
    parse: text,
  },
  status: {
    value: "STATUS",
    doc: "Only children with this status.",
    parse: oneOf(...ChildStatusSchema.options),
  },
  end: { doc: "Close the child's input afterwards.", parse: () => true },
  link: { doc: "Stop the child when this command goes.", parse: () => true },
  follow: { short: "f", doc: "Go on until the child ends.", parse: () => true },
  dev: { doc: "Read it as `dev` would, not as `serve`.", parse: () => true },
  help: { short: "h", doc: "This text.", parse: () => true },
} as const satisfies Record<string, Option<unknown>>;

type Options = typeof OPTIONS;
type Name = keyof Options;
type Value<N extends Name> = Options[N] extends { repeatable: true }
  ? ReturnType<Options[N]["parse"]>[]
  : ReturnType<Options[N]["parse"]>;
export type Given = { readonly [N in Name]?: Value<N> };

const MEMBER = ["url", "token", "ca", "cert", "key"] as const;
const CLIENT = [...MEMBER, "consul"] as const;
const SPEC = [
  "json",
  "task",
  "args",
  "stdin",
  "file",
  "artifact",
  "env",
  "label",
  "wait-ms",
  "deadline-ms",
] as const;
const AUTH = ["token-file", "jwks-url", "jwt-issuer", "jwt-audience"] as const;
const TLS = ["tls-cert", "tls-key", "tls-client-ca", "tls-ca"] as const;
const DOOR = [
  "max-body-bytes",
  "max-upload-bytes",
  "source-cache-bytes",
  "request-timeout-ms",
  "max-rate",
  "max-streams",
] as const;
const SERVER = [
  "pool",
  "port",
  "sandbox",
  "tasks",
  "drain-ms",
  "grace-ms",
  "remember-ms",
  "deadline-ms",
  ...AUTH,
  ...TLS,
  ...DOOR,
] as const;
const SERVE = [...SERVER, "host", "advertise", "member", "consul", "insecure"] as const;

export const COMMANDS = {
  serve: {
    usage: "serve --pool NAME=MAX [options]",
    summary: "Run a member, registered with Consul.",
    options: ["config", ...SERVE],
  },
  dev: {
    usage: "dev [options]",
    summary: "Run several members in this process, without Consul.",
    options: ["members", "config", ...SERVER],
  },
  call: {
    usage: "call POOL [options] [-- COMMAND ARG...]",
    summary: "Run a command on the least loaded member; its output, its exit code.",
    options: [...CLIENT, ...SPEC, "out", "link"],
  },
  place: {
    usage: "place POOL [options] [-- COMMAND ARG...]",
    summary: "Place a child that lives on its own; prints its id.",
    options: [...CLIENT, ...SPEC],
  },
  ps: {
    usage: "ps [POOL] [options]",
    summary: "The children of a pool, or of all pools.",
    options: ["label", "status", ...CLIENT],
  },
  logs: {
    usage: "logs [-f] ID [options]",
    summary: "A child's output so far; with -f until it ends, and its exit code.",
    options: ["follow", ...CLIENT],
  },
  stop: {
    usage: "stop ID [options]",
    summary: "Stop a child: TERM, grace, KILL. Waits until it is gone.",
    options: ["grace-ms", ...CLIENT],
  },
  stdin: {
    usage: "stdin ID [options]",
    summary: "Feed a placed child's input with this command's.",
    options: ["end", ...CLIENT],
  },
  signal: {
    usage: "signal ID SIGNAL [options]",
    summary: "Send a signal, such as SIGUSR1, to a child's program.",
    options: [...CLIENT],
  },
  members: {
    usage: "members [POOL] [options]",
    summary: "The members of a pool, or of all pools, with their load.",
    options: [...CLIENT],
  },
  drain: {
    usage: "drain [options]",
    summary: "Let the member at --url admit nothing more, finish, leave, and end.",
    options: [...MEMBER],
  },
  "check-config": {
    usage: "check-config FILE [options]",
    summary:
      "Whether serve would take this configuration file, with these options beside it; what it would serve, or every mistake.",
    options: ["dev", "members", ...SERVE],
  },
  token: {
    usage: "token NAME [options]",
    summary: "A new token (stderr), and its line for a token file (stdout).",
    options: ["scope", "in"],
  },
} as const satisfies Record<string, { usage: string; summary: string; options: readonly Name[] }>;

export type Command = keyof typeof COMMANDS;

export interface Parsed {
  readonly command: Command;
  /** What is neither an option nor behind `--`. */
  readonly positionals: readonly string[];
  /** What stands behind `--`; undefined without one. */
  readonly rest: readonly string[] | undefined;
  readonly given: Given;
  /** Pools of the configuration file, whose options the member checks. */
  readonly pools?: Readonly<Record<string, unknown>>;
  /** Runtimes of the configuration file, likewise. */
  readonly runtimes?: Readonly<Record<string, unknown>>;
  /** Which of them came by a flag; a flag wins over every variable. */
  readonly flagged: ReadonlySet<string>;
}

export const variableOf = (name: Name) => `DPOOL_${name.replaceAll("-", "_").toUpperCase()}`;

/** Reads a command line and the environment. Undefined when help was asked for. @throws {UsageError} */
export function parse(
  argv: readonly string[],
  env: Environment,
): Parsed | { readonly help: Command | undefined } {
  const [first, ...others] = argv;
  if (first === undefined || first === "--help" || first === "-h" || first === "help")
    return {
      help: others[0] !== undefined && others[0] in COMMANDS ? (others[0] as Command) : undefined,
    };
  if (!Object.hasOwn(COMMANDS, first))
    throw new UsageError(
      `expected one of ${Object.keys(COMMANDS).join(", ")}; got ${JSON.stringify(first)}`,
    );
  const command = first as Command;
  const names = new Set<Name>([...COMMANDS[command].options, "help"]);
  const end = others.indexOf("--");
  const rest = end < 0 ? undefined : others.slice(end + 1);
  let parsed: {
    values: Record<string, string | boolean | (string | boolean)[] | undefined>;
    positionals: string[];
  };
  try {
    parsed = parseArgs({
      args: end < 0 ? others : others.slice(0, end),
      allowPositionals: true,
      options: Object.fromEntries(
        [...names].map((name) => {
          const option: Option<unknown> = OPTIONS[name];
          return [
            name,
            {
              type: option.value ? ("string" as const) : ("boolean" as const),
              multiple: option.repeatable ?? false,
              ...(option.short ? { short: option.short } : {}),
            },
          ];
        }),
      ),
    });
  } catch (error) {
    throw new UsageError(`${(error as Error).message.split(". ")[0]}; see dpool ${command} --help`);
  }
  if (parsed.values.help) return { help: command };
  const given: Record<string, unknown> = {};
  for (const name of names) {
    const option: Option<unknown> = OPTIONS[name];
    const flagged = parsed.values[name];
    const variable = env[variableOf(name)];
    const [value, source] =
      flagged !== undefined
        ? [flagged, `--${name}`]
        : variable !== undefined && name !== "help"
          ? [option.repeatable ? variable.split(",") : variable, variableOf(name)]
          : [];
    if (value === undefined || source === undefined) continue;
    if (!option.value && typeof value === "string" && !["1", "true"].includes(value)) continue;
    given[name] = Array.isArray(value)
      ? value.map((item) => option.parse(String(item), source))
      : option.parse(String(value), source);
  }
  return {
    command,
    positionals: parsed.positionals,
    rest,
    given: given as Given,
    flagged: new Set(Object.keys(parsed.values)),
  };
}

/** An option's word in the configuration file. */
export const camelCase = (name: string) =>
  name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The Consul that a command should use; undefined when nothing asks for one. */
export function consulOf(given: Given, env: Environment): ConsulOptions | undefined {
  const address = given.consul ?? env.CONSUL_HTTP_ADDR;
  return address === undefined ? undefined : consulOptionsFrom(env, address);
}
