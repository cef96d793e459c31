/** Runs a task: the loop of its callers. */
import { HttpConnection, postBytes } from "./http-connection.ts";
import { type Measured, measured, type Task } from "./task.ts";

/** Connections that wait for the next task, by the origin of their server. */
const idle = new Map<string, HttpConnection[]>();

function connectionTo(url: URL): HttpConnection {
  for (let next = idle.get(url.host)?.pop(); next; next = idle.get(url.host)?.pop())
    if (next.isOpen) return next;
  return new HttpConnection(url);
}

function giveBack(url: URL, connection: HttpConnection): void {
  if (connection.isOpen) idle.set(url.host, [...(idle.get(url.host) ?? []), connection]);
}

/** The code of a failed call. */
const codeOf = (answer: string) =>
  /"code":"(\w+)"/.exec(answer)?.[1] ?? answer.slice(0, answer.indexOf("\r\n"));

/** Makes the calls of a task. A call that fails is counted by its code, and not made again. */
export async function runTask(task: Task): Promise<Measured> {
  const { urls, path, body, accept = "text/event-stream", callers, expected } = task;
  const { calls = Number.POSITIVE_INFINITY, ms = Number.POSITIVE_INFINITY } = task;
  const targets = urls.map((each) => new URL(each));
  const times: number[] = [];
  const failures: Record<string, number> = {};
  let begun = 0;
  const cpu = process.cpuUsage();
  const start = performance.now();
  const caller = async (index: number) => {
    const url = targets[index % targets.length] as URL;
    const request = postBytes(url, path, body, accept);
    let connection = connectionTo(url);
    while (begun < calls && performance.now() - start < ms) {
      begun += 1;
      if (!connection.isOpen) connection = connectionTo(url);
      const from = performance.now();
      const answer = await connection.request(request).catch((error: Error) => error.message);
      if (answer.includes(expected)) times.push(performance.now() - from);
      else failures[codeOf(answer)] = (failures[codeOf(answer)] ?? 0) + 1;
    }
    giveBack(url, connection);
  };
  await Promise.all(Array.from({ length: callers }, (_, index) => caller(index)));
  return measured({ times, failures }, { start, cpu });
}
