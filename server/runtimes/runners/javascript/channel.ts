/** The runner's end of the channel to the server, descriptor 3. */
import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { CHANNEL_FD } from "../../../sandbox/fds.ts";

const NEWLINE = 10;

/** A global of Bun; Node has none. */
declare const Bun: {
  connect(options: {
    fd: number;
    socket: Record<string, (socket: unknown, data: Buffer) => void>;
  }): Promise<Listener>;
};
/** Whether waiting for lines keeps the process alive: after `ref()` it does. */
interface Listener {
  ref(): unknown;
  unref(): unknown;
}

/**
 * Reads lines from the server.
 *
 * @param onEnd called when the server has closed the channel.
 */
export async function readLines(
  onLine: (line: string) => void,
  onEnd: () => void,
): Promise<Listener> {
  let rest: Buffer[] = [];
  const read = (data: Buffer) => {
    for (let from = 0; ; ) {
      const end = data.indexOf(NEWLINE, from);
      if (end < 0) {
        rest.push(Buffer.from(data.subarray(from)));
        return;
      }
      const line = Buffer.concat([...rest, data.subarray(from, end)]).toString("utf8");
      rest = [];
      from = end + 1;
      onLine(line);
    }
  };
  if (process.versions.bun !== undefined)
    return Bun.connect({
      fd: CHANNEL_FD,
      socket: { data: (_, data) => read(data), end: onEnd, close: onEnd, error: onEnd },
    });
  return new Socket({ fd: CHANNEL_FD, readable: true, writable: false })
    .on("data", read)
    .on("close", onEnd)
    .on("error", onEnd);
}

/** Writes a whole text to a descriptor. Gives up when nobody reads it any more. */
export function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(fd, bytes, sent);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}

export function writeLine(line: string): void {
  writeAll(CHANNEL_FD, `${line}\n`);
}
