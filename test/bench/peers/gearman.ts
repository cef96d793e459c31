/** A client and a worker of gearmand, as far as the benchmark needs its protocol. */
import { connect, type Socket } from "node:net";

/** The packets that are used, by their numbers in the protocol. */
const CAN_DO = 1;
const PRE_SLEEP = 4;
const NOOP = 6;
const SUBMIT_JOB = 7;
const GRAB_JOB = 9;
const NO_JOB = 10;
const JOB_ASSIGN = 11;
const WORK_COMPLETE = 13;
const WORK_FAIL = 14;

const HEADER = 12;

/** A packet of a request. Arguments have a NUL between them. */
function packet(type: number, ...args: string[]): Buffer {
  const data = Buffer.from(args.join("\0"));
  const header = Buffer.from("\0REQ\0\0\0\0\0\0\0\0", "latin1");
  header.writeUInt32BE(type, 4);
  header.writeUInt32BE(data.length, 8);
  return Buffer.concat([header, data]);
}

/** Reports each packet that arrives. */
function onPacket(socket: Socket, report: (type: number, args: string[]) => void): void {
  let held = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    held = Buffer.concat([held, chunk]);
    while (held.length >= HEADER) {
      const size = held.readUInt32BE(8);
      if (held.length < HEADER + size) return;
      const type = held.readUInt32BE(4);
      const args = held.toString("utf8", HEADER, HEADER + size).split("\0");
      held = held.subarray(HEADER + size);
      report(type, args);
    }
  });
}

/** One connection, with one job at a time. */
export class GearmanClient {
  readonly #socket: Socket;
  #waiting: PromiseWithResolvers<string> | undefined;

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", (error) => this.#waiting?.reject(error));
    onPacket(this.#socket, (type, [, value = ""]) => {
      if (type === WORK_COMPLETE) this.#waiting?.resolve(value);
      else if (type === WORK_FAIL) this.#waiting?.reject(new Error("the job failed"));
    });
  }

  submit(name: string, work: string): Promise<string> {
    this.#waiting = Promise.withResolvers<string>();
    this.#socket.write(packet(SUBMIT_JOB, name, "", work));
    return this.#waiting.promise;
  }
}

/** Does the jobs of a name until the process ends. */
export function startGearmanWorker(port: number, name: string, run: (work: string) => string) {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  socket.write(Buffer.concat([packet(CAN_DO, name), packet(GRAB_JOB)]));
  onPacket(socket, (type, [handle = "", , work = ""]) => {
    if (type === NO_JOB) socket.write(packet(PRE_SLEEP));
    else if (type === NOOP) socket.write(packet(GRAB_JOB));
    else if (type === JOB_ASSIGN)
      socket.write(Buffer.concat([packet(WORK_COMPLETE, handle, run(work)), packet(GRAB_JOB)]));
  });
}
