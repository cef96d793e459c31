/** The kinds of faults that keep a child from being started, in words without paths of the host. */

const FAULTS: Readonly<Record<string, string>> = {
  ENOSPC: "a file system of the member is full",
  EDQUOT: "a file system of the member is full",
  EROFS: "a file system of the member is read-only",
  EIO: "a file system of the member has errors",
  EMFILE: "the member has no file descriptors left",
  ENFILE: "the machine has no file descriptors left",
  ENOMEM: "the member has no memory left",
  EAGAIN: "the member can start no more processes",
  ENOENT: "a program or file that the sandbox needs is missing",
  ENOTDIR: "a program or file that the sandbox needs is missing",
  EACCES: "the member may not use a program or file that the sandbox needs",
  EPERM: "the member may not use a program or file that the sandbox needs",
};

/** The messages of programs for some of the faults. */
const MESSAGES: readonly (readonly [RegExp, string])[] = [
  [/No space left/i, "ENOSPC"],
  [/Too many open files/i, "EMFILE"],
  [/Cannot allocate memory/i, "ENOMEM"],
  [/Resource temporarily unavailable|Cannot fork/i, "EAGAIN"],
  [/No such file|not found/i, "ENOENT"],
  [/Permission denied|not permitted|No permissions/i, "EACCES"],
];

/**
 * The kind of a fault, for a caller. Pure.
 *
 * @param cause an error of the system, or the messages of a program.
 */
export function faultOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  const code =
    (cause as NodeJS.ErrnoException | undefined)?.code ??
    MESSAGES.find(([message]) => message.test(text))?.[1] ??
    "";
  return `${FAULTS[code] ?? "the sandbox failed"}; the member's log has the details`;
}
