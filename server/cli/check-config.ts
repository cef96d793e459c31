/** `dpool check-config`: whether `serve`, or `dev`, would take a configuration file, and what it would serve. */
import { lstatSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { messageOf } from "../../openapi/errors.ts";
import { Jwks } from "../access/jwks.ts";
import { TokenFile } from "../access/tokens.ts";
import { openTls } from "../http/tls.ts";
import {
  type CheckedPool,
  checkedPool,
  type Fault,
  memberFaults,
  poolFaults,
} from "../member/check-options.ts";
import { DEFAULTS, type MemberOptions } from "../member/options.ts";
import { confinementOf } from "../member/pool-options.ts";
import { parseConfig, readText } from "./config-file.ts";
import { devOptions, serveOptions } from "./member-options.ts";
import { COMMANDS, camelCase, type Parsed, UsageError } from "./options.ts";

/** As for a mistake at the command line. */
const PROBLEMS = 2;

export async function checkConfig(
  line: Parsed,
  env: Readonly<Record<string, string | undefined>>,
): Promise<number> {
  const [file, ...more] = [...line.positionals, ...(line.rest ?? [])];
  if (file === undefined || more.length > 0)
    throw new UsageError(
      `expected one configuration file; got ${file === undefined ? "none" : `${more.length + 1}`}`,
    );
  const command = line.given.dev ? "dev" : "serve";
  const config = parseConfig(await readText(file), file, command, line.given.pool);
  const parsed: Parsed = {
    ...line,
    command,
    pools: config.pools,
    runtimes: config.runtimes,
    given: { ...config.given, ...line.given },
  };
  const problems = [...config.problems];
  const warn = (message: string) => process.stderr.write(`warning: ${message}\n`);

  let options: MemberOptions | undefined;
  try {
    options = command === "dev" ? devOptions(parsed, env)[0] : serveOptions(parsed, env);
  } catch (error) {
    // Where the file makes no sense, it is not known what is missing.
    if (problems.length === 0) problems.push(`${file}: ${messageOf(error)}`);
  }
  const faults = options
    ? [...(problems.length === 0 ? memberFaults(options) : []), ...fileFaults(options, warn)]
    : [];
  for (const { path, message } of faults) {
    const [key = "", ...rest] = path.map(String);
    const word = WORDS[key] ?? key;
    const flag = Object.keys(line.given).find((name) => camelCase(name) === word);
    problems.push(
      flag === undefined
        ? `${config.placeOf([word, ...rest])}: ${[word, ...rest].join(".")}: ${message}`
        : `--${flag}: ${message}`,
    );
  }
  if (problems.length > 0 || !options) {
    process.stdout.write(`${problems.join("\n")}\n`);
    return PROBLEMS;
  }
  process.stdout.write(stringify(summary(parsed, options)));
  return 0;
}

/** Options of a member whose word in the file is another. */
const WORDS: Readonly<Record<string, string>> = { name: "member", jwks: "jwksUrl" };

/** What is wrong with the files, folders and devices that the options name. */
function fileFaults(options: MemberOptions, warn: (message: string) => void): Fault[] {
  const faults: Fault[] = [];
  const attempt = (path: Fault["path"], check: () => unknown) => {
    try {
      check();
    } catch (error) {
      faults.push({ path, message: messageOf(error) });
    }
  };
  const { tokenFile, jwks, tls = {} } = options;
  const before = faults.length;
  for (const [key, word] of TLS_WORDS)
    attempt([word], () => tls[key] !== undefined && expectFile(tls[key]));
  if (faults.length === before) attempt(["tlsCert"], () => openTls(tls, warn)?.close());
  if (tokenFile !== undefined)
    attempt(["tokenFile"], () => {
      expectFile(tokenFile);
      new TokenFile(tokenFile, (_, message) => warn(message)).close();
    });
  if (jwks) attempt(["jwks"], () => new Jwks(jwks, warn));
  for (const [pool, given] of Object.entries(options.pools)) {
    if (poolFaults(pool, given).length > 0) continue;
    const { readOnly, devices, root } = checkedPool(given);
    for (const [index, { from }] of readOnly.entries())
      attempt(["pools", pool, "readOnly", index], () => expectAt(from, "a file or folder"));
    for (const [index, device] of devices.entries())
      attempt(["pools", pool, "devices", index], () =>
        expectAt(device, "a device", (found) => found.isCharacterDevice() || found.isBlockDevice()),
      );
    if (root === undefined) continue;
    // Not followed: an absolute link leads elsewhere outside.
    attempt(["pools", pool, "root"], () =>
      expectAt(join(root, "bin/sh"), "a root file system with /bin/sh", () => true, lstatSync),
    );
  }
  return faults;
}

const TLS_WORDS = [
  ["certFile", "tlsCert"],
  ["keyFile", "tlsKey"],
  ["clientCaFile", "tlsClientCa"],
  ["caFile", "tlsCa"],
] as const;

/** A pipe would hold up who reads it. */
function expectFile(path: string): void {
  expectAt(path, "a regular file", (found) => found.isFile());
}

function expectAt(
  path: string,
  wanted: string,
  fits: (found: Stats) => boolean = () => true,
  stat: (path: string) => Stats = statSync,
): void {
  let found: Stats;
  try {
    found = stat(path);
  } catch (error) {
    throw new Error(`expected ${wanted}; got ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (!fits(found)) throw new Error(`expected ${wanted}; got ${path}`);
}

/** What would be served, as a configuration file that says all of it. */
function summary({ command, given }: Parsed, options: MemberOptions): object {
  const names = COMMANDS[command].options.filter((name) => !["pool", "config"].includes(name));
  const defaults: Readonly<Record<string, unknown>> = DEFAULTS;
  return {
    ...Object.fromEntries(
      names.map((name) => [
        camelCase(name),
        given[name as keyof typeof given] ?? defaults[camelCase(name)],
      ]),
    ),
    pools: Object.fromEntries(
      Object.entries(options.pools).map(([pool, asked]) => [pool, poolSummary(checkedPool(asked))]),
    ),
    runtimes: options.runtimes,
  };
}

function poolSummary(pool: CheckedPool): object {
  const { limits } = confinementOf(pool);
  return {
    ...pool,
    limits: {
      ...Object.fromEntries(Object.entries(limits).filter(([, limit]) => Number.isFinite(limit))),
      deadlineMs: pool.limits.deadlineMs,
    },
    fetch: pool.fetch.map(({ text }) => text),
    readOnly: pool.readOnly.map(({ from, to }) => (from === to ? from : `${from}:${to}`)),
  };
}
