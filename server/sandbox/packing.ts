/**
 * Files go into a child and come out of it as tar streams that are unpacked and packed inside the sandbox, by a shell around the
 * program: the server never opens a path that the child controls. Wants a POSIX shell as `/bin/sh`, GNU tar and GNU find.
 */
import { ARTIFACTS_FD, CHANNEL_FD, FILES_FD, SAVED_STDERR_FD } from "./fds.ts";
import { findExpression } from "./patterns.ts";

export { ARTIFACTS_FD, FILES_FD };

/** So the shell ends when the files could not be unpacked, this line on stderr after tar's own; the program has not been started. */
export const FILES_FAILED = {
  exitCode: 125,
  message: "distributed-pool: the files could not be put into the workspace",
} as const;

/**
 * The program's place below the process that is started when artifacts are asked for: its child. Without artifacts the program is that
 * process itself.
 */
export const DEPTH_WITH_ARTIFACTS = 1;

/** None of what the caller sets for the program (PATH, TAR_OPTIONS, LC_ALL, LD_PRELOAD) is for these. */
const TOOLS =
  "/usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8";

const UNPACK = `
${TOOLS} tar -x -f - --touch --no-same-owner --no-same-permissions <&${FILES_FD} ${FILES_FD}<&- ${ARTIFACTS_FD}>&- >/dev/null || {
  echo '${FILES_FAILED.message}' >&2
  exit ${FILES_FAILED.exitCode}
}
exec ${FILES_FD}<&-`;

/** `exec` finds programs only, neither builtins nor functions; some shells would take a dash for an option of its. No variable is set: it could be the program's. */
const RUN = `
case $1 in -*) printf '%s: not found\\n' "$1" >&2; exit 127 ;; esac
exec "$@"`;

/**
 * $1 is the expression for find. The shell keeps quiet about a signal that ends the program, and outlives one that is meant for it:
 * without a sandbox the whole group gets it. The packing is the answer to a TERM, so it ignores another. What the program read and wrote
 * is closed before, so that only the artifacts are left to wait for.
 */
const RUN_AND_PACK = `
exec ${SAVED_STDERR_FD}>&2 2>/dev/null
trap : HUP INT QUIT ALRM TERM USR1 USR2
(
  exec 2>&${SAVED_STDERR_FD} ${ARTIFACTS_FD}>&- ${SAVED_STDERR_FD}>&-
  shift${RUN}
)
code=$?
trap '' HUP INT QUIT ALRM TERM USR1 USR2
exec </dev/null >/dev/null ${CHANNEL_FD}>&- ${SAVED_STDERR_FD}>&-
${TOOLS} find . -regextype posix-extended -type f -regex "$1" -print0 ${ARTIFACTS_FD}>&- |
  ${TOOLS} tar -c -f - --format=gnu --hard-dereference --numeric-owner --no-recursion --null --no-unquote -T - >&${ARTIFACTS_FD} ${ARTIFACTS_FD}>&-
exit "$code"`;

/** What a program needs beyond itself. */
export interface Packing {
  /** Unpack a tar stream from `FILES_FD` into the current folder before the program starts. */
  readonly files: boolean;
  /** Pack the regular files whose paths match one of these patterns to `ARTIFACTS_FD` after the program's end. */
  readonly artifacts: readonly string[];
}

/**
 * The command line that runs a program with its files. The program has the standard streams and every other descriptor but
 * `FILES_FD`, `ARTIFACTS_FD` and 9. Its exit code is the command line's, 128 + n for a signal n; 127 and 126 when it cannot be started.
 * Pure.
 * @throws {RangeError} when the patterns are longer than `MAX_PATTERN_BYTES`.
 */
export function packed(argv: readonly string[], { files, artifacts }: Packing): string[] {
  const pack = artifacts.length > 0;
  if (!files && !pack) return [...argv];
  const script = `${files ? UNPACK : ""}${pack ? RUN_AND_PACK : RUN}`;
  return ["/bin/sh", "-c", script, "sh", ...(pack ? [findExpression(artifacts)] : []), ...argv];
}
