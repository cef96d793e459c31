/** `dpool serve` and `dpool dev`: members in this process until a signal. */
import { isatty } from "node:tty";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../main.ts";
import { growYoungGeneration } from "../../member/young-generation.ts";
import { leaveFirstProcess } from "../../sandbox/first-process.ts";
import { ServerLog } from "../log/server-log.ts";
import { configured, memberOptions } from "../member-options.ts";
import { isPortTaken, portTaken } from "../output/port-taken.ts";
import { type Environment, isJson, type Parsed } from "../parse.ts";
import { reloadOnHangup, type Serving } from "../sighup.ts";
import { blamingUsage } from "../usage-error.ts";

function announce({ url, name, pools }: RunningMember, json: boolean): void {
  const slots = Object.entries(pools).map(([pool, max]) => `${pool}=${max}`);
  process.stdout.write(
    json
      ? `${JSON.stringify({ ready: url, member: name, pools })}\n`
      : `ready ${url} member ${name} pools ${slots.join(",")}\n`,
  );
}

/**
 * 1 second in which a signal counts once. A terminal sends Ctrl-C to this process and to npm, which
 * forwards it.
 */
const ONE_PRESS_MS = 1_000;

/** Resolves at the first of these signals; a later one ends the process at once. */
function untilSignal(
  names: readonly NodeJS.Signals[],
  log: ServerLog["log"],
): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let first: number | undefined;
    for (const name of names)
      process.on(name, () => {
        first ??= performance.now();
        resolve(name);
        if (performance.now() - first < ONE_PRESS_MS) return;
        log("warn", `${name} again: ends at once, and kills the children that run`);
        process.exit(1);
      });
  });
}

/** 500 ms: a collector that takes no spans keeps a member that has stopped no longer. */
const LINGER_MS = 500;

async function run(
  members: readonly RunningMember[],
  signals: readonly NodeJS.Signals[],
  { json, log }: { readonly json: boolean; readonly log: ServerLog["log"] },
): Promise<number> {
  // A signal ends all members; a request to drain ends one.
  const ending = Promise.race([
    untilSignal(signals, log).then((name) =>
      log("info", `${name}: drains; ${name === "SIGINT" ? "Ctrl-C" : name} again ends at once`),
    ),
    Promise.all(members.map((member) => member.stopped)),
  ]);
  try {
    for (const member of members) {
      const joined = await Promise.race([member.joined.then(() => true), ending.then(() => false)]);
      if (joined) announce(member, json);
    }
    growYoungGeneration();
    await ending;
  } finally {
    await Promise.all(members.map((member) => member.stop()));
  }
  setTimeout(() => process.exit(), LINGER_MS).unref();
  return 0;
}

/** The command as the person typed it: npx and `npm start` run a program that is not on PATH. */
function typed({ command }: Parsed, env: Environment): string {
  if (env.npm_lifecycle_event === "start") return "npm start --";
  return env.npm_command === "exec" ? `npx dpool ${command}` : `dpool ${command}`;
}

/** Starts the members of a command line, and serves until a signal or until all have left. */
export async function serve(line: Parsed, env: Environment): Promise<number> {
  leaveFirstProcess(env);
  const registry = new EmbeddedRegistry();
  const { promise: serving, resolve } = Promise.withResolvers<Serving>();
  const logs = new ServerLog(line);
  // Without a file to reload, `dpool dev` ends with the terminal that it runs in.
  const endsAtHangup = line.command === "dev" && line.values.config === undefined && isatty(0);
  if (!endsAtHangup) reloadOnHangup(line, logs, serving);
  // When the terminal goes, the member loses its log and serves on.
  process.stderr.on("error", () => {});
  const started = await configured(line);
  logs.configure(started);
  const members: RunningMember[] = [];
  const { log, childLog, audit } = logs;
  const optionsOf = (parsed: Parsed) =>
    memberOptions(parsed, env, { registry, log, childLog, audit });
  try {
    for (const options of optionsOf(started))
      members.push(await blamingUsage(() => startMember(options)));
  } catch (error) {
    await Promise.all(members.map((member) => member.stop()));
    if (!isPortTaken(error)) throw error;
    throw await portTaken(error, typed(line, env));
  }
  resolve({ started, members, memberOptions: optionsOf });
  const signals = ["SIGTERM", "SIGINT", ...(endsAtHangup ? ["SIGHUP" as const] : [])] as const;
  return run(members, signals, { json: isJson(line), log });
}
