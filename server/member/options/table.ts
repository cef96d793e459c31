/** The options of a member: one entry is the source of flag, variable, key, check and text. */
import { z } from "zod";
import { HEARTBEAT_MS } from "../../../openapi/events.ts";
import { isLoopback } from "../../../sdk/typescript/trust/loopback.ts";
import { ACCESS_OPTIONS } from "./access-options.ts";
import { DAY_MS, DEFAULT_DEADLINE_MS, DEFAULT_PORT, WEEK_MS } from "./constants.ts";
import { LIMIT_OPTIONS } from "./limit-options.ts";
import { fenceNumber, type MemberOption, whole } from "./option.ts";

/** Whether a text is an exact origin as a browser sends it: https, or http on this machine. */
function isOrigin(text: string): boolean {
  const url = URL.parse(text);
  if (url?.origin !== text || text.includes("*")) return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname));
}

function isPublicUrl(text: string): boolean {
  const url = URL.parse(text);
  return url?.origin === text && /^https?:$/.test(url.protocol);
}

/** Every option that a member is started with, by its key in the configuration file. */
export const MEMBER_OPTIONS = {
  port: {
    value: "PORT",
    doc: "Port to listen on; 0 for a free one. `dev` takes this and the ones after it.",
    schema: whole(0, 65_535),
    default: DEFAULT_PORT,
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
  idempotencyMs: {
    value: "MS",
    doc:
      "Milliseconds for which an idempotency key names the child that it has started. " +
      "Consul keeps about 450 bytes for each key until then.",
    schema: whole(1, WEEK_MS),
    default: 3_600_000,
    reload: true,
  },
  deadlineMs: {
    value: "MS",
    doc: "Deadline in milliseconds of calls that name none, in pools without a `deadlineMs`.",
    schema: whole(1, WEEK_MS),
    default: DEFAULT_DEADLINE_MS,
    reload: true,
  },
  fenceMs: {
    value: "MS",
    doc:
      "Milliseconds without touch with Consul after which a member kills its children and " +
      "admits none until it is registered again; 0 for never, or 10000 and more.",
    schema: fenceNumber,
    default: 0,
    only: "serve",
    reload: true,
  },
  ...ACCESS_OPTIONS,
  ...LIMIT_OPTIONS,
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
  publicUrl: {
    value: "URL",
    doc:
      "The origin at which callers reach the members through a proxy, such as " +
      "https://pool.example.org. Answers name it in their links, and pages of it may call.",
    otherwise: "callers reach each member at its own address",
    schema: z
      .string()
      .refine(isPublicUrl, "expected an origin, such as https://pool.example.org, without a path"),
  },
  heartbeatMs: {
    value: "MS",
    doc:
      "Milliseconds between two signs of life in a silent answer: comments of a stream, white " +
      "space of JSON. Choose fewer where a proxy cuts sooner.",
    schema: whole(100, HEARTBEAT_MS),
    default: HEARTBEAT_MS,
    reload: true,
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
    doc:
      "Listen beyond loopback although callers need not show who they are, " +
      "and send callers' tokens to other members in clear where those serve http.",
    schema: z.boolean(),
    only: "serve",
  },
} as const satisfies Readonly<Record<string, MemberOption>>;
