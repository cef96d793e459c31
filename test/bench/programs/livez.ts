/** Asks a member again and again whether it is alive, on one connection, until its parent asks. */
import { HttpConnection } from "../load/http-connection.ts";
import { ascending, quantile } from "../measure/statistics.ts";

/** 5 ms between an answer and the next question. */
const PAUSE_MS = 5;

export interface LivezTask {
  /** Where to ask; without it, the answers so far are wanted. */
  readonly url?: string;
}

/** Milliseconds from a question to its answer. */
export interface LivezAnswer {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

const times: number[] = [];

async function ask(url: URL): Promise<void> {
  const connection = new HttpConnection(url);
  const request = Buffer.from(`GET /livez HTTP/1.1\r\nhost: ${url.host}\r\n\r\n`);
  for (;;) {
    const from = performance.now();
    await connection.request(request);
    times.push(performance.now() - from);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}

process.on("message", ({ url }: LivezTask) => {
  if (url !== undefined) void ask(new URL(url));
  const sorted = ascending(times);
  process.send?.({
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    max: sorted.at(-1) ?? 0,
  });
});
process.once("disconnect", () => process.exit());
