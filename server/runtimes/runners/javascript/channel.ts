/** The runner's end of the channel to the server: descriptor 3. */
import { writeSync } from "node:fs";
import { Socket } from "node:net";

const CHANNEL = 3;
const NEWLINE = 10;

/** Only Bun has it. */
declare const Bun: {
  connect(options: {
    fd: number;
    socket: Record<string, (socket: unknown, data: Buffer) => void>;
  }): Promise<Held>;
};
interface Held {
  ref(): unknown;
  unref(): unknown;
}

/**
 * Reads lines from the server. What it answers tells whether waiting for them keeps the process alive.
 *
 * @param onEnd called when the server has gone.
 */
export async function listen(onLine: (line: string) => void, onEnd: () => void): Promise<Held> {
  let rest: Buffer[] = [];
  const take = (data: Buffer) => {
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
      fd: CHANNEL,
      socket: { data: (_, data) => take(data), end: onEnd, close: onEnd, error: onEnd },
    });
  return new Socket({ fd: CHANNEL, readable: true, writable: false })
    .on("data", take)
    .on("close", onEnd)
    .on("error", onEnd);
}

/** Writes to a descriptor, whole. */
export function writeWhole(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let sent = 0; sent < bytes.length; ) {
    try {
      sent += writeSync(fd, bytes, sent);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") return;
    }
  }
}

export function tell(message: string): void {
  writeWhole(CHANNEL, `${message}\n`);
}
