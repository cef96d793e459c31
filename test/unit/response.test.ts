/** The state of an answer: the same over HTTP/1.1 and HTTP/2. */
import { once } from "node:events";
import { Agent, createServer, get, type ServerResponse } from "node:http";
import { connect, constants, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { Readable } from "node:stream";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { closeAfter, cutOff, drained, isFull, isOver, onOver } from "../../server/http/response.ts";
import { within as withinMs } from "../helpers/wait.ts";

const within = <T>(label: string, promise: PromiseLike<T>) => withinMs(label, 10_000, promise);

interface Exchange {
  /** HTTP/2 has a class of its own with the same methods. */
  readonly outgoing: ServerResponse;
  /** The answer on the client's side, unread. */
  readonly answer: Readable;
  /** The client goes away. */
  leave(): void;
  /** Resolves when the client's connection is closed. */
  readonly closed: Promise<unknown>;
}

const PROTOCOLS: Readonly<Record<string, () => Promise<Exchange>>> = {
  "HTTP/1.1": async () => {
    const { server, url, asked } = await serve(createServer());
    const agent = new Agent({ keepAlive: true });
    onTestFinished(() => agent.destroy());
    const request = get(url, { agent }).on("error", () => {});
    const [socket] = (await once(request, "socket")) as [Socket];
    const outgoing = await asked;
    const answered = once(request, "response") as Promise<[Readable]>;
    outgoing.flushHeaders();
    const [answer] = await answered;
    onTestFinished(() => void server.close());
    return {
      outgoing,
      answer: answer.on("error", () => {}),
      leave: () => request.destroy(),
      closed: once(socket, "close"),
    };
  },
  "HTTP/2": async () => {
    const { server, url, asked } = await serve(createHttp2Server());
    const session = connect(url).on("error", () => {});
    onTestFinished(() => {
      session.destroy();
      server.close();
    });
    const stream = session.request({ ":path": "/" }).on("error", () => {});
    const outgoing = await asked;
    outgoing.flushHeaders();
    await once(stream, "response");
    return {
      outgoing,
      answer: stream,
      leave: () => stream.close(constants.NGHTTP2_CANCEL),
      closed: new Promise((resolve) => session.once("close", resolve)),
    };
  },
};

async function serve(
  server: Server,
): Promise<{ server: Server; url: string; asked: Promise<ServerResponse> }> {
  const asked = once(server, "request").then(([, outgoing]) => outgoing as ServerResponse);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

/** Writes until a client that does not read takes no more. */
async function fill(outgoing: ServerResponse): Promise<void> {
  for (let quiet = 0; quiet < 20; ) {
    if (!isFull(outgoing)) {
      outgoing.write(Buffer.alloc(65_536));
      quiet = 0;
    }
    quiet += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

afterEach(() => {
  vi.useRealTimers();
});

describe.each(Object.entries(PROTOCOLS))("an answer over %s", (_, begin) => {
  test("is over when it has been sent, and tells early and late listeners once", async () => {
    const { outgoing, answer } = await within("the exchange", begin());
    expect([isOver(outgoing), isFull(outgoing), await drained(outgoing)]).toEqual([
      false,
      false,
      true,
    ]);
    const over = new Promise((resolve) => onOver(outgoing, resolve));
    outgoing.end("all");
    answer.resume();
    expect(await within("the end", over)).toBe(true);
    expect([isOver(outgoing), await drained(outgoing)]).toEqual([true, false]);
    expect(await within("the end again", new Promise((resolve) => onOver(outgoing, resolve)))).toBe(
      true,
    );
  });

  test("has not been sent to a client that left, with or without backpressure", async () => {
    for (const full of [false, true]) {
      const { outgoing, leave } = await within("the exchange", begin());
      if (full) await fill(outgoing);
      const over = new Promise((resolve) => onOver(outgoing, resolve));
      const wait = full ? drained(outgoing) : over.then(() => drained(outgoing));
      leave();
      expect(await within("the end", over)).toBe(false);
      expect(await within("the wait", wait)).toBe(false);
      expect(
        await within("the end again", new Promise((resolve) => onOver(outgoing, resolve))),
      ).toBe(false);
    }
  });

  test("continues when its reader does", async () => {
    const { outgoing, answer } = await within("the exchange", begin());
    await fill(outgoing);
    const wait = drained(outgoing);
    answer.resume();
    expect(await within("the wait", wait)).toBe(true);
  });

  test("is cut off when the reader takes nothing for a minute", async () => {
    const { outgoing } = await within("the exchange", begin());
    await fill(outgoing);
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const wait = drained(outgoing);
    vi.advanceTimersByTime(59_000);
    expect(isOver(outgoing)).toBe(false);
    vi.advanceTimersByTime(1_000);
    vi.useRealTimers();
    expect(await within("the wait", wait)).toBe(false);
    expect(isOver(outgoing)).toBe(true);
  });

  test("that is cut off is an error for its reader, not an end", async () => {
    const { outgoing, answer } = await within("the exchange", begin());
    outgoing.write("part");
    await within("the part", once(answer.resume(), "data"));
    const error = new Promise((resolve) => answer.once("error", resolve));
    cutOff(outgoing);
    expect(await within("the error", error)).toBeInstanceOf(Error);
  });
});

test("HTTP/2: the last answer of a connection ends well, and so does the connection", async () => {
  const { outgoing, answer, closed } = await within(
    "the exchange",
    (PROTOCOLS["HTTP/2"] as () => Promise<Exchange>)(),
  );
  closeAfter(outgoing);
  let text = "";
  answer.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  outgoing.end("all");
  await within("the connection to be closed", closed);
  expect(text).toBe("all");
});
