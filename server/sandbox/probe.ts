/** Tries attacks in a sandbox before a member serves, to see whether it holds on this machine. */
import type { Readable } from "node:stream";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { Confinement } from "./confinement.ts";
import { NEEDED_PROGRAM } from "./egress/listener.ts";
import { exitWithin } from "./exit.ts";
import { namespaceCure, readSetting, type Setting } from "./namespace-cures.ts";
import type { Exit, Sandbox } from "./sandbox.ts";

const PROBE_TIMEOUT_MS = 10_000;
const MIB = 1024 * 1024;

/**
 * Attacks that must fail; each line of output is a leak. The script uses the shell's own commands,
 * because a curated root may have no other program. It skips an attack whose tool is missing.
 */
const ATTACKS = `
leak() { echo "leak: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }
field() {
  while read -r key value _; do
    [ "$key" != "$1" ] || { echo "$value"; return; }
  done </proc/self/status
}
[ "$(field Uid:)" = 65534 ] || leak "the child is user $(field Uid:)"
case "$(field CapEff:)" in *[!0]* | "") leak "the child has capabilities" ;; esac
[ "$(field NoNewPrivs:)" = 1 ] || leak "setuid programs give rights"
[ "$(field Seccomp:)" = 2 ] || leak "there is no seccomp filter"
has unshare && unshare -U true 2>/dev/null && leak "a user namespace can be made"
has unshare && unshare -m true 2>/dev/null && leak "a mount namespace can be made"
has perl && perl -e 'exit(socket(my $s, 40, 1, 0) ? 0 : 1)' 2>/dev/null &&
  leak "AF_VSOCK sockets can be opened"
has tr && has grep &&
  tr '\\0' '\\n' </proc/1/environ | grep -qv '^\\(PATH\\|PWD\\|OLDPWD\\|SHLVL\\|_\\)=' &&
  leak "the environment of the server shows"
for folder in / /usr /etc /dev /proc /run; do
  ( : >$folder/probe ) 2>/dev/null && leak "$folder can be written"
done
interfaces=0
while read -r line; do
  case $line in *:*) interfaces=$((interfaces + 1)) ;; esac
done </proc/net/dev
[ "$1" = host ] || [ $interfaces = 1 ] || leak "the network is there"
set -- /proc/[0-9]*
[ $# -lt 16 ] || leak "processes of the host show"
:
`;
const FORK_BOMB = `
hold() { while :; do :; done; }
if command -v sleep >/dev/null 2>&1; then hold() { sleep 20; }; fi
n=0; while [ $n -lt 64 ]; do hold & n=$((n + 1)); done
echo "leak: 64 processes could be started where 32 are allowed"`;
const MEMORY_HOG = `
x=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
n=0; while [ $n -lt 20 ]; do x=$x$x; n=$((n + 1)); done
echo "leak: 64 MiB could be held where 32 MiB are allowed"`;

interface Attempt {
  readonly output: string;
  readonly stderr: string;
  readonly exit: Exit;
}

/**
 * Tries the attacks in a pool's own confinement.
 *
 * @throws {PoolError} `sandbox_unavailable` that names the attack that succeeded, and the remedy
 *   where there is one.
 */
export async function probeSandbox(sandbox: Sandbox, confinement: Confinement): Promise<void> {
  const { grants, limits } = confinement;
  const attempt = async (
    script: string,
    tighter: Partial<typeof limits> = {},
  ): Promise<Attempt> => {
    const network = grants.network === "host" ? "host" : "none";
    const argv = sandbox.level === "none" ? ["true"] : ["/bin/sh", "-c", script, "sh", network];
    const program = { argv, env: {}, readOnly: [], channel: false, stdin: false };
    const child = await sandbox.launch(program, { grants, limits: { ...limits, ...tighter } });
    // A fork bomb is killed at its first error message: bash would try again for many seconds.
    const stop = script === FORK_BOMB ? () => child.kill() : undefined;
    const [exit, output, stderr] = await Promise.all([
      exitWithin(PROBE_TIMEOUT_MS, child),
      read(child.stdout),
      read(child.stderr, stop),
    ]);
    return { exit, output, stderr };
  };
  try {
    const plain = await attempt(ATTACKS);
    if (!plain.exit.started || plain.exit.exitCode !== 0) {
      throw new Error(
        `the sandbox's probe ended with exit code ${plain.exit.exitCode}: ` +
          (plain.exit.trouble || plain.stderr || plain.output || "no message"),
      );
    }
    const attempts = [plain];
    if (sandbox.level !== "none") attempts.push(await attempt(FORK_BOMB, { processes: 32 }));
    if (sandbox.level === "full") {
      const hog = await attempt(MEMORY_HOG, { memoryBytes: 32 * MIB });
      if (hog.exit.exceeded !== "memory")
        throw new Error(
          "64 MiB could be held where 32 MiB are allowed: " +
            (hog.stderr || `exit code ${hog.exit.exitCode}`),
        );
    }
    const leaks = attempts.flatMap(({ output }) =>
      output.split("\n").filter((line) => line.startsWith("leak: ")),
    );
    if (leaks.length > 0)
      throw new Error(leaks.map((line) => line.slice("leak: ".length)).join("; "));
  } catch (error) {
    // The cause names what is missing, which a caller must not see, and the operator needs.
    const detail = messageOf(error instanceof PoolError ? (error.cause ?? error) : error);
    throw PoolError.of(
      "sandbox_unavailable",
      [`the sandbox does not hold on this machine: ${detail}`, ...remedies(detail)].join("\n"),
      { cause: error },
    );
  }
}

/** Reads a stream to its end; returns its first 4,096 characters. */
async function read(stream: Readable, onChunk?: () => void): Promise<string> {
  let text = "";
  for await (const chunk of stream) {
    text = (text + chunk).slice(0, 4_096);
    onChunk?.();
  }
  return text.trim();
}

/**
 * The remedies for a failed probe, with the kernel's own switches first.
 *
 * @param setting reads a file of the kernel. Default: from this machine.
 */
export function remedies(detail: string, setting: Setting = readSetting): string[] {
  if (detail.includes(NEEDED_PROGRAM))
    return [
      `A pool with network.allow needs ${NEEDED_PROGRAM} in its sandbox, or in its root where ` +
        "it has one; on Debian or Ubuntu: apt-get install perl-base",
    ];
  if (/ENOENT|not found/.test(detail)) {
    return [
      "Install what is missing: bubblewrap (bwrap), util-linux (setpriv, prlimit) and coreutils " +
        "(mkfifo); on Debian or Ubuntu: apt-get install bubblewrap util-linux coreutils",
    ];
  }
  if (!/namespace|uid map|Operation not permitted|Permission denied/i.test(detail)) return [];
  const cure = namespaceCure(setting);
  if (cure === undefined) return [];
  const { text, command } = cure;
  if (command === undefined) return [text];
  return [command.includes("\n") ? `${text}:\n  ${command}` : `${text}: ${command}`];
}
