/**
 * The one table of the file descriptors that a child may have beside stdin, stdout and stderr.
 * The parent opens 3 to 8 and 10 to 14; the shell that packs artifacts opens 9. A program sees
 * only 3.
 */

/** Socket to a function's runner, or pipe to which a command writes its progress. */
export const CHANNEL_FD = 3;
/** Pipe from which bubblewrap reads its arguments. */
export const ARGUMENTS_FD = 4;
/**
 * The program's stderr, which becomes descriptor 2 just before the program starts. Until then,
 * descriptor 2 takes the errors of the chain, which name paths of the host.
 */
export const STDERR_FD = 5;
/** Pipe from which bubblewrap reads the seccomp filter. */
export const FILTER_FD = 6;
/** Pipe from which the shell around the program unpacks the workspace's files. */
export const FILES_FD = 7;
/**
 * Pipe from which the shell of a sandbox made beforehand reads its call. It has the number of the
 * files, because such a sandbox takes none, and because shells close only 0 to 9.
 */
export const CALL_FD = 7;
/** Pipe to which the shell around the program packs the artifacts. */
export const ARTIFACTS_FD = 8;
/** Pipe to which bubblewrap writes its status as JSON. The program does not get it. */
export const STATUS_FD = 10;
/** Copy of the program's stderr, which the shell keeps while its own stderr is closed. */
export const SAVED_STDERR_FD = 9;
/** Socket from which bubblewrap takes a byte once the sandbox is complete. */
export const BEGIN_FD = 11;
/** Socket from which the program around a terminal reads sizes. The command does not get it. */
export const TERMINAL_FD = 12;
/** Channel to the member over which the socket for its proxy goes. Closed before the program. */
export const LISTENER_FD = 13;
/** Pipe with the program's variables, for a sandbox whose first program must not have them. */
export const ENVIRONMENT_FD = 14;
