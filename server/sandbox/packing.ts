/**
 * The shell around a program that unpacks its files and packs its artifacts, inside the sandbox.
 * Both are tar streams, so the server never opens a path that the child controls. The sandbox needs
 * a POSIX shell as `/bin/sh`, GNU tar and GNU find.
 */
import { ARTIFACTS_FD, CHANNEL_FD, FILES_FD, SAVED_STDERR_FD } from "./fds.ts";
import { findExpression } from "./patterns.ts";

/**
 * How the shell ends when it cannot unpack the files: the line follows tar's own on stderr. The
 * program has not been started.
 */
export const FILES_FAILED = {
  exitCode: 125,
  message: "distributed-pool: the files could not be put into the workspace",
} as const;

/**
 * The generation of the program below the shell when the caller asks for artifacts. Without
 * artifacts the program replaces the shell.
 */
export const DEPTH_WITH_ARTIFACTS = 1;

/**
 * The caller's variables for the program (PATH, TAR_OPTIONS, LC_ALL, LD_PRELOAD) do not reach the
 * tools.
 */
const TOOLS =
  "/usr/bin/env -i LC_ALL=C.UTF-8 " +
  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

const UNPACK = `
${TOOLS} tar -x -f - --touch --no-same-owner --preserve-permissions \\
  <&${FILES_FD} ${FILES_FD}<&- ${ARTIFACTS_FD}>&- >/dev/null || {
  echo '${FILES_FAILED.message}' >&2
  exit ${FILES_FAILED.exitCode}
}
exec ${FILES_FD}<&-`;

/**
 * `exec` finds programs only, neither builtins nor functions. Some shells take a name with a dash
 * for an option of `exec`, so it is refused. The script sets no variable: it could be one of the
 * program's.
 */
const RUN = `
case $1 in -*) printf '%s: not found\\n' "$1" >&2; exit 127 ;; esac
exec "$@"`;

/**
 * $1 is the expression for `find`. The shell prints nothing about a signal that ends the program,
 * and survives a signal itself: without a sandbox, the whole process group gets it. It packs after
 * a TERM, so it ignores a second one. It closes the program's other streams first: the server then
 * waits for the artifacts alone.
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
  ${TOOLS} tar -c -f - --format=gnu --hard-dereference --numeric-owner \\
    --no-recursion --null --no-unquote -T - >&${ARTIFACTS_FD} ${ARTIFACTS_FD}>&-
exit "$code"`;

/** The files and artifacts of a program. */
export interface Packing {
  /** Unpack a tar stream from `FILES_FD` into the current folder before the program starts. */
  readonly files: boolean;
  /**
   * Pack the regular files whose paths match one of these patterns to `ARTIFACTS_FD` after the
   * program's end.
   */
  readonly artifacts: readonly string[];
}

/**
 * The command line that runs a program with its files. Pure.
 *
 * The program gets the standard streams, and every other descriptor except `FILES_FD`,
 * `ARTIFACTS_FD` and 9. The command line exits with the program's code, or 128 + n for a signal n;
 * with 127 or 126 when the program cannot be started.
 *
 * @throws {RangeError} when the patterns are longer than `MAX_PATTERN_BYTES`.
 */
export function packed(argv: readonly string[], { files, artifacts }: Packing): string[] {
  const pack = artifacts.length > 0;
  if (!files && !pack) return [...argv];
  const script = `${files ? UNPACK : ""}${pack ? RUN_AND_PACK : RUN}`;
  return ["/bin/sh", "-c", script, "sh", ...(pack ? [findExpression(artifacts)] : []), ...argv];
}
