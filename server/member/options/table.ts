/** The options of a member: one entry is the source of flag, variable, key, check and text. */
import { z } from "zod";
import { isLoopback } from "../../access/browser-guard.ts";

export interface Option {
  /**
   * Checks the value. A list is an option that can be repeated, a boolean is a switch. Default: any
   * text.
   */
  readonly schema?: z.ZodType;
  /** Stands for the value in help texts; a switch has none. `FILE` names a file of this machine. */
  readonly value?: string;
  readonly short?: string;
  readonly doc: string;
  readonly default?: string | number;
  /** Says in words what happens without the option, where no constant is the default. */
  readonly otherwise?: string;
  /** A member that runs takes a changed value at once. Without it, a change needs a restart. */
  readonly reload?: true;
}

/** An option that a member is started with. */
export interface MemberOption extends Option {
  /** Path in `MemberOptions`, where it is not the configuration key: `name`, `tls.certFile`. */
  readonly path?: string;
  /** The command that alone takes the option. Without it, `serve` and `dev` take it. */
  readonly only?: "serve";
}

/** A whole number from `min` to `max`, both included. */
export function whole(min: number, max: number): z.ZodInt {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.int(error).min(min, error).max(max, error);
}

/** Whether a text is an exact origin as a browser sends it: https, or http on this machine. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url?.origin !== text || text.includes("*")) return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Every option that a member is started with, by its key in the configuration file. */
export const MEMBER_OPTIONS = {
  port: {
    value: "PORT",
    doc: "Port to listen on; 0 for a free one. `dev` takes this and the ones after it.",
    schema: whole(0, 65_535),
    default: 7400,
  },
  sandbox: {
    value: "auto|no-cgroup|off",
    doc:
      "`auto` refuses to start where the sandbox does not hold in full; " +
      "`no-cgroup` does without limits on whole children; " +
      "`off` runs them as plain processes, on loopback only.",
    schema: z.enum(["auto", "no-cgroup", "off"]),
    default: "auto",
  },
  tasks: {
    value: "DIR",
    doc:
      "A folder of modules that callers may run by name: " +
      "each NAME.js, .mjs, .ts, .mts or .py in it is the task NAME. Read once, at the start.",
  },
  drainMs: {
    value: "MS",
    doc:
      "Milliseconds for which children may run on after TERM, INT or POST /drain, " +
      "while the member admits nothing more.",
    schema: whole(0, WEEK_MS),
    default: 30_000,
    reload: true,
  },
  graceMs: {
    value: "MS",
    doc: "Milliseconds between TERM and KILL.",
    schema: whole(0, DAY_MS),
    default: 5_000,
    reload: true,
  },
  rememberMs: {
    value: "MS",
    doc:
      "Milliseconds for which the member remembers a child after its end, with its events and " +
      "artifacts; at most the last 100 of each pool.",
    schema: whole(0, DAY_MS),
    default: 60_000,
    reload: true,
  },
  deadlineMs: {
    value: "MS",
    doc: "Deadline in milliseconds of calls that name none. Placed children have none.",
    schema: whole(1, WEEK_MS),
    default: 300_000,
    reload: true,
  },
  tokenFile: {
    value: "FILE",
    doc:
      "The tokens that callers have to show, as `dpool token` prints them; " +
      "read again when it changes.",
  },
  jwksUrl: {
    value: "URL",
    doc:
      "Take JWTs that are signed with a key found here, at an https URL or http on loopback; " +
      "with --jwt-issuer and --jwt-audience.",
    path: "jwks.url",
  },
  jwtIssuer: {
    value: "ISSUER",
    doc: "`iss` that a JWT must have.",
    path: "jwks.issuer",
  },
  jwtAudience: {
    value: "AUDIENCE",
    doc: "`aud` that a JWT must have.",
    path: "jwks.audience",
  },
  tlsCert: {
    value: "FILE",
    doc:
      "Serve https with this certificate (PEM); also shown to other members. " +
      "Read again when it changes.",
    path: "tls.certFile",
  },
  tlsKey: { value: "FILE", doc: "The certificate's key (PEM).", path: "tls.keyFile" },
  tlsClientCa: {
    value: "FILE",
    doc: "Let in only clients that show a certificate of this authority (PEM).",
    path: "tls.clientCaFile",
  },
  tlsCa: {
    value: "FILE",
    doc: "The authority of the other members' certificates (PEM).",
    otherwise: "the well-known ones",
    path: "tls.caFile",
  },
  maxBodyBytes: {
    value: "BYTES",
    doc:
      "Largest request body, or child spec in a multipart one. " +
      "Multipart bodies and a child's input have limits of their own.",
    schema: whole(1_024, GIB),
    default: 16 * MIB,
    reload: true,
  },
  maxUploadBytes: {
    value: "BYTES",
    doc:
      "Largest multipart body, or input of a placed child that comes with it. " +
      "The member keeps at most four times as much at a time, on disk.",
    schema: whole(1_024, 1024 * GIB),
    default: GIB,
    reload: true,
  },
  sourceCacheBytes: {
    value: "BYTES",
    doc: "Bytes of functions' sources that are kept for callers who name them by their hashes.",
    schema: whole(0, GIB),
    default: 64 * MIB,
  },
  requestTimeoutMs: {
    value: "MS",
    doc:
      "Milliseconds in which a request has to arrive, its body included, " +
      "and an upload has to make progress. A child's input may take its time.",
    schema: whole(100, DAY_MS),
    default: 60_000,
    reload: true,
  },
  maxRate: {
    value: "N",
    doc:
      "Requests a second from each token, or from each address where there are no tokens; " +
      "twice as many at once.",
    schema: whole(1, 1_000_000),
    default: 1_000,
    reload: true,
  },
  maxStreams: {
    value: "N",
    doc: "Streams open at a time for each token, or address.",
    schema: whole(1, 1_000_000),
    default: 1_000,
    reload: true,
  },
  maxConnections: {
    value: "N",
    doc: "Connections open at a time; when all are taken, a new one replaces an idle one.",
    schema: whole(16, 1_000_000),
    otherwise: "what the limit of open files leaves beside the children, up to 10000",
    reload: true,
  },
  corsOrigin: {
    value: "ORIGIN",
    doc:
      "An origin whose web pages may call from a browser, such as https://app.example.org; " +
      "http only on loopback. Each is named in full: there are no patterns. Repeatable.",
    otherwise: "none",
    schema: z.array(
      z
        .string()
        .refine(isOrigin, "expected an origin, such as https://app.example.org, without path or *"),
    ),
    path: "corsOrigins",
    reload: true,
  },
  host: {
    value: "ADDRESS",
    doc:
      "Address to listen on. " +
      "Anything but loopback requires --token-file, --jwks-url or --insecure.",
    default: "127.0.0.1",
    only: "serve",
  },
  advertise: {
    value: "HOST:PORT",
    doc: "Where other machines reach this member.",
    otherwise: "where it listens",
    only: "serve",
  },
  member: {
    value: "NAME",
    doc: "This member's name, unique among the members.",
    otherwise: "HOSTNAME-PORT",
    path: "name",
    only: "serve",
  },
  consul: {
    value: "ADDRESS",
    doc:
      "The Consul agent to register with, such as http://127.0.0.1:8500. CONSUL_HTTP_ADDR, " +
      "CONSUL_HTTP_TOKEN, CONSUL_CACERT and the rest of that family are honoured.",
    otherwise: "CONSUL_HTTP_ADDR; without it http://127.0.0.1:8500",
    path: "consul.address",
    only: "serve",
  },
  insecure: {
    doc: "Listen beyond loopback although callers need not show who they are.",
    schema: z.boolean(),
    only: "serve",
  },
} as const satisfies Readonly<Record<string, MemberOption>>;
