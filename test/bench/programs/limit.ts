/**
 * The limit L: the least that a server can do which runs a function in another process and answers
 * by SSE. It checks nothing, bounds nothing, and isolates nobody.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** A process that answers each line with the value of the function in it. */
const WORKER = `
const socket = new (require("node:net").Socket)({ fd: 3 });
const known = new Map();
let text = "";
socket.setEncoding("utf8").on("data", (chunk) => {
  const lines = (text + chunk).split("\\n");
  text = lines.pop();
  for (const line of lines) {
    const { function: { source, args } } = JSON.parse(line);
    if (!known.has(source)) known.set(source, (0, eval)(source));
    socket.write(JSON.stringify({ value: known.get(source)(...args) }) + "\\n");
  }
});`;

const HEAD = { "content-type": "text/event-stream", "cache-control": "no-store" };
const PLACED = 'event: placed\ndata: {"type":"placed"}\n\n';

/** A process with the answers that it owes, in their order. */
class Processor {
  readonly process: ChildProcess;
  readonly #channel: Duplex;
  readonly #owed: ServerResponse[] = [];

  constructor() {
    this.process = spawn(process.execPath, ["-e", WORKER], {
      stdio: ["ignore", "inherit", "inherit", "pipe"],
    });
    this.#channel = this.process.stdio[3] as Duplex;
    let text = "";
    this.#channel.setEncoding("utf8").on("data", (chunk: string) => {
      const lines = (text + chunk).split("\n");
      text = lines.pop() as string;
      for (const line of lines) this.#owed.shift()?.end(`event: result\ndata: ${line}\n\n`);
    });
  }

  run(body: string, answer: ServerResponse): void {
    this.#owed.push(answer);
    this.#channel.write(`${body}\n`);
  }
}

const processors = Array.from({ length: Number(process.argv[2]) }, () => new Processor());
let turn = 0;

const server = createServer((request, answer) => {
  let body = "";
  request.setEncoding("utf8").on("data", (chunk: string) => {
    body += chunk;
  });
  request.on("end", () => {
    answer.writeHead(200, HEAD);
    answer.write(PLACED);
    processors[turn++ % processors.length]?.run(body, answer);
  });
});
server.listen(0, "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once("SIGTERM", () => {
  for (const each of processors) each.process.kill("SIGKILL");
  process.exit();
});
