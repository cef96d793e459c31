/** Which members belong to a pool: the seam, and its reading of Consul, one watch per pool. */
import { readFileSync } from "node:fs";
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import Consul from "consul";
import { messageOf, PoolError } from "../../../openapi/errors.ts";
import { SandboxLevelSchema } from "../../../openapi/limits.ts";
import { PoolNameSchema } from "../../../openapi/names.ts";
import type { Member, Members } from "./members.ts";

/** The name of the service in Consul. */
export const SERVICE = "distributed-pool";

/** Meta keys of the service. Consul allows letters, digits, `_` and `-` in a key. */
export const META = {
  member: "member",
  version: "version",
  sandbox: "sandbox",
  scheme: "scheme",
  maxChildren: (pool: string) => `maxChildren-${pool}`,
} as const;
const MAX_CHILDREN_PREFIX = META.maxChildren("");

/** How to reach a Consul agent. Everything but the address is optional. */
export interface ConsulOptions {
  /** `http://127.0.0.1:8500`, `https://…`, or `host:port`. */
  readonly address: string;
  /** An ACL token that may read the service (and, for a member, write it). */
  readonly token?: string | undefined;
  /** `user:password` of HTTP basic authentication. */
  readonly auth?: string | undefined;
  /** Paths of PEM files. */
  readonly caFile?: string | undefined;
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly tlsServerName?: string | undefined;
  /** False to accept any certificate. Default true. */
  readonly verify?: boolean | undefined;
  readonly namespace?: string | undefined;
}

/** The options that Consul's own variables (`CONSUL_HTTP_ADDR` and its family) ask for. */
export function consulOptionsFrom(
  env: Readonly<Record<string, string | undefined>>,
  address?: string,
): ConsulOptions {
  const given = address ?? env.CONSUL_HTTP_ADDR ?? "127.0.0.1:8500";
  const secure = env.CONSUL_HTTP_SSL === "true" || env.CONSUL_HTTP_SSL === "1";
  return {
    address: given.includes("://") || !secure ? given : `https://${given}`,
    token:
      env.CONSUL_HTTP_TOKEN ??
      (env.CONSUL_HTTP_TOKEN_FILE
        ? readFileSync(env.CONSUL_HTTP_TOKEN_FILE, "utf8").trim()
        : undefined),
    auth: env.CONSUL_HTTP_AUTH,
    caFile: env.CONSUL_CACERT,
    certFile: env.CONSUL_CLIENT_CERT,
    keyFile: env.CONSUL_CLIENT_KEY,
    tlsServerName: env.CONSUL_TLS_SERVER_NAME,
    verify:
      env.CONSUL_HTTP_SSL_VERIFY === undefined
        ? undefined
        : !["false", "0"].includes(env.CONSUL_HTTP_SSL_VERIFY),
    namespace: env.CONSUL_NAMESPACE,
  };
}

/** A client of the agent. */
export function consulClient(options: ConsulOptions): Consul {
  let url: URL;
  try {
    url = new URL(options.address.includes("://") ? options.address : `http://${options.address}`);
  } catch {
    throw PoolError.of(
      "invalid_request",
      `expected Consul's address as http://HOST:PORT or HOST:PORT; got ${JSON.stringify(options.address)}`,
    );
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw PoolError.of(
      "invalid_request",
      `expected an http or https address of Consul; got ${options.address}`,
    );
  }
  const secure = url.protocol === "https:";
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file));
  const agent = secure
    ? new HttpsAgent({
        keepAlive: true,
        ca: read(options.caFile),
        cert: read(options.certFile),
        key: read(options.keyFile),
        ...(options.tlsServerName ? { servername: options.tlsServerName } : {}),
        rejectUnauthorized: options.verify !== false,
      })
    : new HttpAgent({ keepAlive: true });
  // `headers` is an option of the client's base class that its types leave out.
  const withHeaders = {
    host: url.hostname,
    port: url.port === "" ? (secure ? 443 : 80) : Number(url.port),
    secure,
    agent,
    defaults: options.token === undefined ? {} : { token: options.token },
    headers: {
      ...(options.auth === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(options.auth).toString("base64")}` }),
      ...(options.namespace === undefined ? {} : { "x-consul-namespace": options.namespace }),
    },
  };
  return new Consul(withHeaders);
}

interface HealthEntry {
  readonly Node: { readonly Address: string };
  readonly Service: {
    readonly ID: string;
    readonly Address: string;
    readonly Port: number;
    readonly Meta: Record<string, string> | null;
  };
  readonly Checks: readonly { readonly Status: string }[];
}

/** A member, and whether its checks pass: they do not while it drains, which is Consul's maintenance, nor once it is lost. */
interface Listed extends Member {
  readonly passing: boolean;
}

/** The member that an entry of Consul's health list describes; undefined for an entry that is not one of ours. */
function memberOf({ Node, Service, Checks }: HealthEntry): Listed | undefined {
  const meta = Service.Meta ?? {};
  const name = meta[META.member];
  if (name === undefined || !Service.Port) return undefined;
  const pools: Record<string, number> = {};
  for (const [key, value] of Object.entries(meta)) {
    const pool = key.startsWith(MAX_CHILDREN_PREFIX) ? key.slice(MAX_CHILDREN_PREFIX.length) : "";
    if (PoolNameSchema.safeParse(pool).success) pools[pool] = Number(value);
  }
  const host = Service.Address || Node.Address;
  return {
    name,
    url: `${meta[META.scheme] === "https" ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${Service.Port}`,
    pools,
    sandbox: SandboxLevelSchema.safeParse(meta[META.sandbox]).data ?? "none",
    version: meta[META.version] ?? "unknown",
    passing: Checks.every(({ Status }) => Status === "passing"),
  };
}

/** A blocking query is renewed this often. */
const WAIT = "60s";
/** The first list must be there in this time. */
const FIRST_LIST_TIMEOUT_MS = 5_000;
/** A member that is missing after Consul was away is kept for so long: it may be about to register again (TTL of the check). */
const SETTLE_MS = 15_000;
/** Watches are made anew at most this fast after errors, and this slowly at worst. */
const RETRY_MIN_MS = 100;
const RETRY_MAX_MS = 2_000;

/** One watch on the service, optionally of one pool; keeps the last known good list while Consul is away. */
class ConsulWatch {
  #seen: readonly Listed[] = [];
  /** Members that went missing while Consul was away, until they are back or given up. */
  readonly #kept = new Map<string, Listed>();
  #listed: readonly Listed[] = [];
  #passing: readonly Member[] = [];
  #synced = false;
  #lastError: string | undefined;
  #retryMs = RETRY_MIN_MS;
  #hadError = false;
  #timers = new Set<NodeJS.Timeout>();
  #watch: ReturnType<Consul["watch"]> | undefined;
  #waiting = new Set<() => void>();
  #closed = false;
  readonly #consul: Consul;
  readonly #filter: string | undefined;
  readonly #onChange: () => void;

  constructor(consul: Consul, filter: string | undefined, onChange: () => void) {
    this.#consul = consul;
    this.#filter = filter;
    this.#onChange = onChange;
    this.#start();
  }

  /** Those that pass, after the first answer. */
  async members(): Promise<readonly Member[]> {
    await this.#firstList();
    return this.#passing;
  }

  /** One of this name, passing or not. */
  async find(name: string): Promise<Member | undefined> {
    await this.#firstList();
    return this.#listed.find((member) => member.name === name);
  }

  async #firstList(): Promise<void> {
    if (!this.#synced && !this.#closed) {
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, FIRST_LIST_TIMEOUT_MS);
        this.#waiting.add(done);
      });
    }
    if (!this.#synced) {
      throw PoolError.of(
        "no_members_available",
        `Consul has not answered yet: ${this.#lastError ?? `no answer in ${FIRST_LIST_TIMEOUT_MS} ms`}`,
      );
    }
  }

  close(): void {
    this.#closed = true;
    this.#watch?.end();
    for (const timer of this.#timers) clearTimeout(timer);
    for (const wake of [...this.#waiting]) wake();
  }

  #after(ms: number, run: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      run();
    }, ms);
    timer.unref();
    this.#timers.add(timer);
  }

  #start(): void {
    if (this.#closed) return;
    const watch = this.#consul.watch({
      method: this.#consul.health.service,
      options: { service: SERVICE, wait: WAIT, ...(this.#filter ? { filter: this.#filter } : {}) },
    });
    this.#watch = watch;
    watch.on("change", (entries: HealthEntry[]) => {
      if (watch !== this.#watch || this.#closed) return;
      this.#retryMs = RETRY_MIN_MS;
      this.#take(entries.map(memberOf).filter((member) => member !== undefined));
    });
    watch.on("error", (error: Error) => {
      if (watch !== this.#watch) return;
      // The library's watch keeps its old index after an error and may stay blind for a whole wait: begin anew.
      watch.end();
      this.#watch = undefined;
      this.#hadError = true;
      this.#lastError = messageOf(error);
      this.#after(this.#retryMs, () => this.#start());
      this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MAX_MS);
    });
  }

  #take(seen: readonly Listed[]): void {
    this.#seen = seen;
    const names = new Set(seen.map((member) => member.name));
    if (this.#hadError) {
      this.#hadError = false;
      for (const member of this.#listed)
        if (!names.has(member.name)) this.#kept.set(member.name, member);
      this.#after(SETTLE_MS, () => {
        this.#kept.clear();
        this.#set(this.#seen);
      });
    }
    for (const name of names) this.#kept.delete(name);
    this.#set([...seen, ...this.#kept.values()]);
  }

  #set(listed: readonly Listed[]): void {
    this.#listed = listed;
    this.#passing = listed.filter(({ passing }) => passing);
    this.#synced = true;
    for (const wake of [...this.#waiting]) wake();
    this.#onChange();
  }
}

/** The members in Consul. */
export class ConsulMembers implements Members {
  readonly #consul: Consul;
  readonly #watches = new Map<string | undefined, ConsulWatch>();
  #byPool = new Map<string, readonly Member[]>();

  constructor(options: ConsulOptions) {
    this.#consul = consulClient(options);
  }

  async in(pool: string): Promise<readonly Member[]> {
    const every = this.#watches.get(undefined);
    if (!every) return this.#watch(pool).members();
    // A member watches the whole service, in one connection to its agent however many pools are asked for.
    const all = await every.members();
    let members = this.#byPool.get(pool);
    if (!members) {
      members = all.filter((member) => Object.hasOwn(member.pools, pool));
      if (members.length > 0) this.#byPool.set(pool, members);
    }
    return members;
  }

  all(): Promise<readonly Member[]> {
    return this.#watch(undefined).members();
  }

  find(name: string): Promise<Member | undefined> {
    return this.#watch(undefined).find(name);
  }

  close(): void {
    for (const watch of this.#watches.values()) watch.close();
    this.#watches.clear();
    this.#consul.destroy();
  }

  #watch(pool: string | undefined): ConsulWatch {
    let watch = this.#watches.get(pool);
    if (!watch) {
      if (pool !== undefined && !PoolNameSchema.safeParse(pool).success) {
        throw PoolError.of("invalid_request", `expected a pool name; got ${JSON.stringify(pool)}`);
      }
      watch = new ConsulWatch(
        this.#consul,
        pool === undefined ? undefined : `"${pool}" in Service.Tags`,
        () => {
          this.#byPool = new Map();
        },
      );
      this.#watches.set(pool, watch);
    }
    return watch;
  }
}
