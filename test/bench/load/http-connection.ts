/**
 * One connection that makes one request at a time. It does as little as possible, so that the
 * processor is left to the servers: requests are bytes made beforehand, and an answer is text.
 */
import { connect, type Socket } from "node:net";

const LAST_CHUNK = "\r\n0\r\n\r\n";

/** Whether the text is a whole answer. */
function isWhole(text: string): boolean {
  const head = text.indexOf("\r\n\r\n");
  if (head < 0) return false;
  const length = /\r\ncontent-length: (\d+)\r\n/i.exec(text.slice(0, head + 2))?.[1];
  return length === undefined
    ? text.endsWith(LAST_CHUNK)
    : text.length >= head + 4 + Number(length);
}

export class HttpConnection {
  readonly #socket: Socket;
  #text = "";
  #waiting: { resolve(text: string): void; reject(error: Error): void } | undefined;
  isOpen = true;

  constructor(url: URL) {
    this.#socket = connect({ host: url.hostname, port: Number(url.port), noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => {
      this.#text += text;
      if (isWhole(this.#text)) this.#waiting?.resolve(this.#text);
    });
    const end = (error = new Error("closed")) => {
      this.isOpen = false;
      this.#waiting?.reject(error);
    };
    this.#socket.on("error", end).on("close", () => end());
  }

  /** Sends a request, and resolves to the head and body of its answer. */
  request(bytes: Uint8Array): Promise<string> {
    this.#text = "";
    return new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#socket.write(bytes);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** A POST with a JSON body. */
export function postBytes(url: URL, path: string, body: object, accept: string): Buffer {
  const json = Buffer.from(JSON.stringify(body));
  const head =
    `POST ${path} HTTP/1.1\r\nhost: ${url.host}\r\naccept: ${accept}\r\n` +
    `content-type: application/json\r\ncontent-length: ${json.length}\r\n\r\n`;
  return Buffer.concat([Buffer.from(head), json]);
}
