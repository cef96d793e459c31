/**
 * Variables whose names no shell knows, such as `spring.profiles.active`. dash drops them, so they
 * reach the sandbox under other names, and `env` gives them their own right before the program.
 * Their values show in no process list for longer than that. Pure.
 */
const SHELL_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** The name that a variable has in the sandbox's own shells. */
export function shellName(name: string): string {
  return SHELL_NAME.test(name) ? name : `POOL_ENV_${Buffer.from(name).toString("hex")}`;
}

/** The variables by the names that shells know. */
export function shellNames(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [shellName(name), value]));
}

/** The text as one word of a shell. */
export const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

/**
 * The command line that gives a program the variables of {@link shellNames} by their own names. The
 * same command line where all names are known to shells.
 */
export function withOddNames(
  argv: readonly string[],
  env: Readonly<Record<string, string>>,
): readonly string[] {
  const odd = Object.keys(env).filter((name) => shellName(name) !== name);
  if (odd.length === 0) return argv;
  const hide = odd.map((name) => `-u ${shellName(name)}`).join(" ");
  const set = odd.map((name) => `${quoted(name)}="$${shellName(name)}"`).join(" ");
  // `env` would take such a program for a variable.
  const refuse = `case $1 in *=*) printf '%s: not found\\n' "$1" >&2; exit 127 ;; esac`;
  return ["/bin/sh", "-c", `${refuse}; exec /usr/bin/env ${hide} -- ${set} "$@"`, "sh", ...argv];
}
