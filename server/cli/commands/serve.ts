/** `dpool serve` and `dpool dev`: members in this process until a signal. */
import { isatty } from "node:tty";
import { EmbeddedRegistry, type RunningMember, startMember } from "../../main.ts";
import { growYoungGeneration } from "../../member/young-generation.ts";
import { leaveFirstProcess } from "../../sandbox/first-process.ts";
import { configured, log, memberOptions } from "../member-options.ts";
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

/** Resolves at the first of these signals; the same signal again ends the process at once. */
function untilSignal(names: readonly NodeJS.Signals[]): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const name of names)
      process.on(name, () => {
        process.once(name, () => process.exit(1));
        resolve(name);
      });
  });
}

/** 500 ms: a collector that takes no spans keeps a member that has stopped no longer. */
const LINGER_MS = 500;

async function run(
  members: readonly RunningMember[],
  signals: readonly NodeJS.Signals[],
  json: boolean,
): Promise<number> {
  // A signal ends all members; a request to drain ends one.
  const ending = Promise.race([
    untilSignal(signals).then((name) => log("info", `${name}: draining; once more ends at once`)),
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

/** Says how to go on where another program listens on the port. */
function withPortHint(error: unknown): never {
  if (error instanceof Error && error.message.includes("EADDRINUSE"))
    error.message += "\ntry: --port PORT takes another port, --port 0 any free one";
  throw error;
}

/** Starts the members of a command line, and serves until a signal or until all have left. */
export async function serve(line: Parsed, env: Environment): Promise<number> {
  leaveFirstProcess(env);
  const registry = new EmbeddedRegistry();
  const { promise: serving, resolve } = Promise.withResolvers<Serving>();
  // Without a file to reload, `dpool dev` ends with the terminal that it runs in.
  const endsAtHangup = line.command === "dev" && line.values.config === undefined && isatty(0);
  if (!endsAtHangup) reloadOnHangup(line, serving);
  // When the terminal goes, the member loses its log and serves on.
  process.stderr.on("error", () => {});
  const started = await configured(line);
  const members: RunningMember[] = [];
  const optionsOf = (parsed: Parsed) => memberOptions(parsed, env, registry);
  try {
    for (const options of optionsOf(started))
      members.push(await blamingUsage(() => startMember(options)).catch(withPortHint));
  } catch (error) {
    await Promise.all(members.map((member) => member.stop()));
    throw error;
  }
  resolve({ started, members, memberOptions: optionsOf });
  const signals = ["SIGTERM", "SIGINT", ...(endsAtHangup ? ["SIGHUP" as const] : [])] as const;
  return run(members, signals, isJson(line));
}
