/** The file of the audit: lines of JSON, appended, which never hold up the member. */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import pino from "pino";
import { messageOf } from "../../../openapi/errors.ts";
import type { AuditRecord } from "../../access/audit.ts";
import { UsageError } from "../usage-error.ts";

/** 1 MiB of lines that the disk has not taken. Further lines are dropped, and counted. */
const MAX_WAITING_BYTES = 1024 * 1024;
/** The file's owner reads and writes it, and nobody else. */
const MODE = 0o600;

export interface AuditSink {
  write(line: string): void;
  /** Opens the file again: another program may have moved it. */
  reopen(): void;
}

/** @throws {UsageError} for a file that cannot be appended to. */
export function openAuditFile(path: string, logError: (message: string) => void): AuditSink {
  expectFile(path);
  const file = pino.destination({
    dest: path,
    append: true,
    mode: MODE,
    sync: false,
    maxLength: MAX_WAITING_BYTES,
  });
  let dropped = 0;
  let hasFailed = false;
  file.on("error", (error) => {
    if (!hasFailed) logError(`audit file ${path}: ${messageOf(error)}`);
    hasFailed = true;
  });
  file.on("drop", () => {
    dropped += 1;
  });
  file.on("drain", () => {
    hasFailed = false;
    if (dropped > 0) logError(`audit file ${path}: ${dropped} lines were dropped`);
    dropped = 0;
  });
  process.on("exit", () => {
    try {
      file.flushSync();
    } catch {
      // The file has not been opened yet, or takes nothing.
    }
  });
  const reopen = () => {
    try {
      // Each try of the library that fails would leave a listener behind.
      expectFile(path);
      file.reopen();
    } catch (error) {
      logError(`${messageOf(error)}; the audit goes on in the file of before`);
    }
  };
  return { write: (line) => file.write(line), reopen };
}

/** A record as a line of JSON. */
export const lineOf = (record: AuditRecord): string =>
  `${JSON.stringify({ time: new Date().toISOString(), audit: true, ...record })}\n`;

function expectFile(path: string): void {
  // A named pipe without a reader would block: it is refused instead.
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
  let isFile: boolean;
  try {
    const descriptor = openSync(path, O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK, MODE);
    isFile = fstatSync(descriptor).isFile();
    closeSync(descriptor);
  } catch (error) {
    throw new UsageError(`--audit-file: expected a file to append to; got ${messageOf(error)}`);
  }
  if (!isFile) throw new UsageError(`--audit-file: expected a regular file; got ${path}`);
}
