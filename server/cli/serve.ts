/** `dpool serve` and `dpool dev`: members in this process until a signal. */

import { PoolError } from "../../sdk/typescript/errors.ts";
import { type Parsed, UsageError } from "../config.ts";
import { type MemberOptions, type RunningMember, startMember } from "../main.ts";
import { configured, devOptions, log, serveOptions } from "./member-options.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** A member; options that make no sense are the command line's mistake. */
async function start(options: MemberOptions): Promise<RunningMember> {
  try {
    return await startMember(options);
  } catch (error) {
    if (error instanceof PoolError && error.code === "invalid_request") throw new UsageError(error.message);
    throw error;
  }
}

function announce({ url, name, pools }: RunningMember): void {
  process.stdout.write(
    `ready ${url} member ${name} pools ${Object.entries(pools)
      .map(([pool, max]) => `${pool}=${max}`)
      .join(",")}\n`,
  );
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilSignal(): { readonly signal: Promise<NodeJS.Signals> } {
  return {
    signal: new Promise((resolve) => {
      for (const name of ["SIGTERM", "SIGINT"] as const) {
        process.on(name, () => {
          process.once(name, () => process.exit(1));
          resolve(name);
        });
      }
    }),
  };
}

async function run(members: readonly RunningMember[]): Promise<number> {
  const { signal } = untilSignal();
  const told = signal.then((name) => log("info", `${name}: leaving, ending the children`));
  for (const member of members) {
    const joined = await Promise.race([member.joined.then(() => true), told.then(() => false)]);
    if (joined) announce(member);
  }
  await told;
  await Promise.all(members.map((member) => member.stop()));
  return 0;
}

export async function serve(line: Parsed, env: Environment): Promise<number> {
  return run([await start(serveOptions(await configured(line), env))]);
}

export async function dev(line: Parsed, env: Environment): Promise<number> {
  const members: RunningMember[] = [];
  try {
    for (const options of devOptions(await configured(line), env)) members.push(await start(options));
  } catch (error) {
    await Promise.all(members.map((member) => member.stop()));
    throw error;
  }
  return run(members);
}
