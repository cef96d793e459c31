/** HTTP/2 of members that serve https: all that HTTP/1.1 does, and the attacks that only it has. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
  constants,
  type SecureClientSessionOptions,
} from "node:http2";
import { connect, type TLSSocket } from "node:tls";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Problem } from "../../openapi/errors.ts";
import type { Count } from "../../openapi/schemas/resources.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { outputBytes } from "../../sdk/typescript/node.ts";
import type { RunningMember } from "../../server/main.ts";
import { CANCEL, END_HEADERS, END_STREAM, field, frame, head, PREFACE } from "../helpers/frames.ts";
import { ask, bytesOf, connectTo, eventsIn, headOf, open } from "../helpers/http2.ts";
import {
  collect,
  heldBytes,
  lastOf,
  type Options,
  startMembers,
  textOf,
  until,
  within,
} from "../helpers/member.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";

const run = promisify(execFile);
const MIB = 1024 * 1024;

describe.skipIf(!hasOpenssl)(
  `HTTP/2${hasOpenssl ? "" : " (skipped: openssl is not installed)"}`,
  () => {
    let pki: Pki;
    beforeAll(() => {
      pki = new Pki();
      pki.authority("ours");
      pki.certificate("member", "ours");
      pki.certificate("client", "ours");
    });
    afterAll(() => pki.remove());

    const tls = () => ({
      certFile: pki.at("member.pem"),
      keyFile: pki.at("member.key"),
      caFile: pki.at("ours.pem"),
    });
    const trusting = (more: SecureClientSessionOptions = {}) => ({
      ca: pki.pem("ours.pem"),
      ...more,
    });

    async function start(...options: Options[]): Promise<RunningMember[]> {
      return startMembers(...options.map((more) => ({ tls: tls(), ...more })));
    }

    async function startWith(
      options: Options = {},
      client: SecureClientSessionOptions = {},
    ): Promise<{ member: RunningMember; session: ClientHttp2Session }> {
      const [member] = (await start(options)) as [RunningMember];
      return { member, session: await connectTo(member.url, trusting(client)) };
    }

    const json = async <T>(...request: Parameters<typeof open>) =>
      JSON.parse((await ask(...request)).text) as T;
    const countOn = async (session: ClientHttp2Session) =>
      (await json<Count>(session, "/children/count")).pools.pipeline;
    const idleOn = (session: ClientHttp2Session) =>
      until("no slot to be held", async () => (await countOn(session))?.active === 0);
    const place = (session: ClientHttp2Session, command: string[]) =>
      json<ChildInfo>(session, "/children", { pool: "pipeline", command });

    /** A connection that speaks HTTP/2 by hand. */
    async function openSocket({ url }: RunningMember): Promise<TLSSocket> {
      const socket = connect({
        port: Number(new URL(url).port),
        host: "127.0.0.1",
        ca: pki.pem("ours.pem"),
        ALPNProtocols: ["h2"],
      });
      onTestFinished(() => void socket.destroy());
      socket.on("error", () => {}).resume();
      await within("the handshake", once(socket, "secureConnect"));
      return socket;
    }
    async function speak(member: RunningMember): Promise<{ socket: TLSSocket; authority: string }> {
      const socket = await openSocket(member);
      socket.write(Buffer.concat([PREFACE, frame("settings", 0, 0)]));
      return { socket, authority: new URL(member.url).host };
    }

    test("serves clients that ask for it; others get HTTP/1.1 on the same port", async () => {
      const { member, session } = await startWith();
      expect(session.alpnProtocol).toBe("h2");
      expect(await json(session, "/livez")).toMatchObject({ status: "ok", member: "m1" });
      const curl = async (...args: string[]) =>
        (
          await run("curl", [
            "-s",
            "--cacert",
            pki.at("ours.pem"),
            "-w",
            "%{http_version}",
            "-o",
            "/dev/null",
            ...args,
            `${member.url}/livez`,
          ])
        ).stdout;
      expect([await curl("--http2"), await curl("--http1.1"), await curl("--no-alpn")]).toEqual([
        "2",
        "1.1",
        "1.1",
      ]);
    });

    test("carries calls in each form, children and files, also through other members", async () => {
      const [m1, m2] = (await start({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];
      const spec = {
        command: ["sh", "-c", "echo out; echo err >&2; printf film > a.bin"],
        artifacts: ["a.bin"],
      };
      for (const [member, path, more] of [
        [m1, "/call", { pool: "pipeline" }],
        [m2, "/pools/pipeline/call", {}],
      ] as const) {
        const session = await connectTo(member.url, trusting());
        const { status, headers, stream } = await headOf(open(session, path, { ...spec, ...more }));
        expect([status, headers["content-type"], headers["pool-member"]]).toEqual([
          200,
          "text/event-stream; charset=utf-8",
          member.name,
        ]);
        expect(Object.keys(headers)).not.toContain("connection");
        const events = await within("the events", collect(eventsIn(stream)));
        expect([textOf(events), textOf(events, "stderr")]).toEqual(["out\n", "err\n"]);
        expect(lastOf(events, "result")).toMatchObject({
          exitCode: 0,
          artifacts: [{ path: "a.bin", bytes: 4 }],
        });
        const [placed] = events;
        if (placed?.type !== "placed") throw new Error("expected placed");
        const at = `/children/${placed.child.id}`;
        expect(await ask(session, `${at}/files/a.bin`)).toMatchObject({
          status: 200,
          text: "film",
        });
        expect(await json(session, at)).toMatchObject({ status: "ended" });
        expect(
          await json(session, path, { ...spec, ...more }, { accept: "application/json" }),
        ).toMatchObject({ stdout: "out\n", exitCode: 0 });
        // The reader resumes after its last event.
        const again = await headOf(
          open(session, `${at}/events`, undefined, { "last-event-id": "1" }),
        );
        expect(
          (await within("the rest", collect(eventsIn(again.stream)))).map(({ id }) => id),
        ).toEqual(events.slice(1).map(({ id }) => id));
        expect((await ask(session, path, { ...more, command: [] })).status).toBe(400);
        expect(await ask(session, "/nowhere")).toMatchObject({
          status: 404,
          headers: { "content-type": "application/problem+json" },
        });
        const head = await headOf(
          open(session, `${at}/files/a.bin`, undefined, { ":method": "HEAD" }),
        );
        expect([
          head.status,
          head.headers["content-length"],
          (await bytesOf(head.stream)).length,
        ]).toEqual([200, "4", 0]);
      }
    });

    test("carries the raw form with its trailer, and resets the stream on a failure", async () => {
      const [m1, m2] = (await start({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];
      for (const [member, path, more] of [
        [m1, "/call", { pool: "pipeline" }],
        [m2, "/pools/pipeline/call", {}],
      ] as const) {
        const session = await connectTo(member.url, trusting());
        const raw = (command: string[]) =>
          open(session, path, { ...more, command }, { accept: "application/octet-stream" });
        const good = raw(["head", "-c", "3000000", "/dev/zero"]);
        const trailers = once(good, "trailers");
        expect((await bytesOf(good)).length).toBe(3_000_000);
        const [{ "pool-ending": ending }] = (await within("the trailer", trailers)) as [
          { "pool-ending": string },
        ];
        expect(JSON.parse(ending)).toMatchObject({ type: "result", exitCode: 0 });
        await expect(bytesOf(raw(["sh", "-c", "echo part; exit 3"]))).rejects.toThrow();

        const curl = (command: string[]) => {
          const args = [
            "-sS",
            "--http2",
            "--cacert",
            pki.at("ours.pem"),
            "-H",
            "accept: application/octet-stream",
            "-H",
            "content-type: application/json",
          ];
          return run("curl", [
            ...args,
            "-d",
            JSON.stringify({ ...more, command }),
            `${member.url}${path}`,
          ]);
        };
        expect((await curl(["echo", "film"])).stdout).toBe("film\n");
        await expect(curl(["sh", "-c", "echo part; exit 3"])).rejects.toMatchObject({
          code: 92,
          stdout: "part\n",
        });
      }
    });

    test("raw bytes resume after each reset of their stream, through a gateway too", async () => {
      const [m1, m2] = (await start({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];
      const bytes = 32 * MIB;
      const command = [
        "sh",
        "-c",
        `mkfifo copy; sha256sum <copy >&2 & head -c ${bytes} /dev/urandom | tee copy; wait`,
      ];
      const accept = "application/octet-stream";
      for (const [member, path, more] of [
        [m1, "/call", { pool: "pipeline" }],
        [m2, "/pools/pipeline/call", {}],
      ] as const) {
        const session = await connectTo(member.url, trusting());
        const hash = createHash("sha256");
        let received = 0;
        let answer = await headOf(open(session, path, { ...more, command }, { accept }));
        const at = `/children/${answer.headers["pool-child-id"]}/events`;
        const read = async (stream: ClientHttp2Stream, left: number) => {
          for await (const chunk of stream as AsyncIterable<Buffer>) {
            hash.update(chunk);
            received += chunk.length;
            left -= chunk.length;
            if (left <= 0) return stream.close(constants.NGHTTP2_CANCEL);
          }
        };
        for (let cuts = 0; received < bytes; cuts++) {
          await within(
            "the bytes",
            read(
              answer.stream,
              cuts < 10 ? 1_000_000 + Math.random() * 3_000_000 : Number.POSITIVE_INFINITY,
            ),
          );
          answer = await headOf(
            open(session, at, undefined, { accept, range: `bytes=${received}-` }),
          );
          expect(answer.status).toBe(received < bytes ? 206 : 416);
        }
        expect(answer.headers["content-range"]).toBe(`bytes */${bytes}`);
        answer.stream.resume();
        const events = await within(
          "the events",
          collect(eventsIn((await headOf(open(session, at))).stream)),
        );
        expect(textOf(events, "stderr").split(" ")[0]).toBe(hash.digest("hex"));
      }
    });

    test.each(["/call", "/pools/pipeline/call"])(
      "a reader of %s that does not read stops its child, and no other stream of its connection",
      async (path) => {
        const [m1, m2] = (await start({}, { pools: { other: 1 } })) as [
          RunningMember,
          RunningMember,
        ];
        const [door, own] = path === "/call" ? [m1, { pool: "pipeline" }] : [m2, {}];
        const session = await connectTo(door.url, trusting());
        const other = await connectTo(m1.url, trusting());
        const bytes = 50 * MIB;
        const before = await heldBytes();
        const { stream } = await headOf(
          open(session, path, {
            ...own,
            command: ["head", "-c", String(bytes), "/dev/zero"],
            outputEncoding: "base64",
          }),
        );
        // A child without a reader does the same work later: its end shows that enough time passed.
        const free = await place(other, ["head", "-c", String(bytes), "/dev/zero"]);
        await until(
          "the child without a reader to end",
          async () => (await json<ChildInfo>(session, `/children/${free.id}`)).status === "ended",
        );
        expect((await countOn(other))?.active).toBe(1);
        expect((await heldBytes()) - before).toBeLessThan(32 * MIB);
        let received = 0;
        let last: NumberedEvent | undefined;
        await within(
          "the whole output",
          (async () => {
            for await (const event of eventsIn(stream)) {
              if (event.type === "stdout") received += outputBytes(event).length;
              last = event;
            }
          })(),
          50_000,
        );
        expect(received).toBe(bytes);
        expect(last).toMatchObject({ type: "result", exitCode: 0 });
        await idleOn(other);
      },
    );

    test("a reset stream or a closed connection is a caller that went away", async () => {
      const [m1, m2] = (await start({}, { pools: { other: 1 } })) as [RunningMember, RunningMember];
      const watcher = await connectTo(m1.url, trusting());
      const linked = { command: ["sleep", "600"], link: true, deadlineMs: 600_000 };
      for (const accept of ["text/event-stream", "application/octet-stream", "application/json"])
        for (const [member, path, more] of [
          [m1, "/call", { pool: "pipeline" }],
          [m2, "/pools/pipeline/call", {}],
        ] as const)
          for (const leave of ["reset", "connection"]) {
            const session = await connectTo(member.url, trusting());
            const stream = open(session, path, { ...linked, ...more }, { accept });
            await until(
              "the child to be there",
              async () => (await countOn(watcher))?.active === 1,
            );
            if (leave === "reset") stream.close(constants.NGHTTP2_CANCEL);
            else session.destroy();
            await idleOn(watcher);
            // The other streams of the connection are unharmed.
            if (leave === "reset")
              expect(await json(session, "/livez")).toMatchObject({ status: "ok" });
          }
      const { stream } = await headOf(
        open(watcher, "/call", { pool: "pipeline", command: ["sh", "-c", "sleep 0.3; echo on"] }),
      );
      const [placed] = [(await within("placed", eventsIn(stream).next())).value as NumberedEvent];
      stream.close(constants.NGHTTP2_CANCEL);
      if (placed.type !== "placed") throw new Error("expected placed");
      // The child outlives its caller unless it is linked.
      const events = await headOf(open(watcher, `/children/${placed.child.id}/events`));
      expect(textOf(await within("its events", collect(eventsIn(events.stream))))).toBe("on\n");
    });

    test("input reaches a child piece by piece; input that breaks off starts nothing", async () => {
      const { member, session } = await startWith();
      const child = await json<ChildInfo>(session, "/children", {
        pool: "pipeline",
        command: ["sh", "-c", "cat; echo end"],
        stdin: { open: true },
      });
      const events = eventsIn((await headOf(open(session, `/children/${child.id}/events`))).stream);
      const input = session.request({
        ":path": `/children/${child.id}/stdin?end=true`,
        ":method": "POST",
        "content-type": "application/octet-stream",
      });
      const answer = once(input, "response");
      let text = "";
      const talk = async () => {
        for await (const event of events) {
          // The client sends the next piece when the last one has come back.
          if (event.type === "placed") input.write("one ");
          if (event.type === "stdout") text += event.text;
          if (text === "one ") input.write("two ");
          if (text === "one two ") input.end();
        }
      };
      await within("the talk", talk());
      expect(text).toBe("one two end\n");
      expect((await within("the answer", answer))[0]).toMatchObject({
        ":status": expect.any(Number),
      });

      const spec = encodeURIComponent(
        JSON.stringify({ pool: "pipeline", command: ["sleep", "600"] }),
      );
      const { socket, authority } = await speak(member);
      socket.write(
        frame(
          "headers",
          END_HEADERS,
          1,
          head("POST", `/children?spec=${spec}`, authority, {
            "content-type": "application/octet-stream",
          }),
        ),
      );
      socket.write(
        Buffer.concat([frame("data", 0, 1, Buffer.from("part")), frame("reset", 0, 1, CANCEL)]),
      );
      socket.write(frame("headers", END_HEADERS | END_STREAM, 3, head("GET", "/livez", authority)));
      await within("the answer to what came after it", once(socket, "data"));
      expect((await countOn(session))?.active).toBe(0);
      const curl = await run("curl", [
        ...[
          "-sS",
          "--http2",
          "--cacert",
          pki.at("ours.pem"),
          "-F",
          'spec={"pool":"pipeline","command":["cat","a.txt"]};type=application/json',
        ],
        ...[
          "-F",
          `a.txt=@${pki.at("ours.pem")}`,
          "-H",
          "accept: application/octet-stream",
          `${member.url}/call`,
        ],
      ]);
      expect(curl.stdout).toBe(pki.pem("ours.pem"));
    });

    test("the streams of one connection count for their client until they end", async () => {
      const { session } = await startWith({ maxStreams: 3 });
      const child = await place(session, ["sleep", "600"]);
      const attach = () => headOf(open(session, `/children/${child.id}/events`));
      const streams = [await attach(), await attach(), await attach()];
      expect(streams.map(({ status }) => status)).toEqual([200, 200, 200]);
      const { status, stream } = await attach();
      expect([status, JSON.parse((await bytesOf(stream)).toString()).code]).toEqual([
        429,
        "too_many_requests",
      ]);
      for (const { stream: each } of streams) each.close(constants.NGHTTP2_CANCEL);
      await until("a place for another", async () => (await attach()).status === 200);
    });

    test("a client certificate is required here too", async () => {
      const { member, session } = await startWith(
        { tls: { ...tls(), clientCaFile: pki.at("ours.pem") } },
        { cert: pki.pem("client.pem"), key: pki.pem("client.key") },
      );
      expect(await json(session, "/livez")).toMatchObject({ status: "ok" });
      const stranger = connectHttp2(member.url, trusting());
      stranger.on("error", () => {});
      onTestFinished(() => stranger.destroy());
      let answered = false;
      const stream = open(stranger, "/livez").on("response", () => {
        answered = true;
      });
      await within("the refusal", new Promise((resolve) => stream.once("close", resolve)));
      expect(answered).toBe(false);
    });

    describe("admission", () => {
      test("checks :authority", async () => {
        const { session } = await startWith();
        const status = async (headers: Record<string, string>) =>
          (await ask(session, "/pools", undefined, headers)).status;
        expect(await status({})).toBe(200);
        expect(await status({ ":authority": "localhost:1" })).toBe(200);
        for (const authority of ["evil.example", "evil.example:7400", "localhost.evil.example"])
          expect(await status({ ":authority": authority })).toBe(403);
        // The checked name must be the one that a proxy would use.
        expect(await status({ ":authority": "localhost", host: "evil.example" })).toBe(400);
        expect(
          await status({ ":authority": "evil.example", host: "localhost" }),
        ).toBeGreaterThanOrEqual(400);
        expect(await status({ origin: "https://evil.example" })).toBe(403);
        expect(await status({ ":path": "/..\\x" })).toBe(400);
        // An unknown expectation is ignored.
        expect(await status({ expect: "an answer" })).toBe(200);
      });

      test("refuses bodies that are too large, too slow or broken off", async () => {
        const log: string[] = [];
        const { member, session } = await startWith({
          maxBodyBytes: 1_000,
          requestTimeoutMs: 300,
          log: (level, line) => void (level !== "info" && log.push(line)),
        });
        const large = await ask(session, "/call", {
          pool: "pipeline",
          command: ["true"],
          stdin: "x".repeat(100_000),
        });
        expect([large.status, (JSON.parse(large.text) as Problem).code]).toEqual([
          413,
          "payload_too_large",
        ]);
        const begin = () => {
          const stream = session.request({
            ":path": "/call",
            ":method": "POST",
            "content-type": "application/json",
          });
          stream.on("error", () => {});
          stream.write('{"pool":');
          return stream;
        };
        const slow = await headOf(begin());
        expect([slow.status, JSON.parse((await bytesOf(slow.stream)).toString()).code]).toEqual([
          408,
          "request_timeout",
        ]);
        // An upload that makes progress may take longer.
        const upload = session.request({
          ":path": "/call",
          ":method": "POST",
          "content-type": "multipart/form-data; boundary=x",
        });
        upload.on("error", () => {}).write("--x\r\n");
        expect((await headOf(upload)).status).toBe(408);
        // An answer may take longer than a request.
        const long = await ask(session, "/call", {
          pool: "pipeline",
          command: ["sh", "-c", "sleep 1; echo still here"],
        });
        expect(long.text).toContain("still here");
        begin().close(constants.NGHTTP2_CANCEL);
        const { socket, authority } = await speak(member);
        socket.write(
          frame(
            "headers",
            END_HEADERS,
            1,
            head("POST", "/call", authority, { "content-type": "application/json" }),
          ),
        );
        socket.write(
          frame("data", 0, 1, Buffer.from('{"pool":"pipeline","command":["sleep","600"]}')),
        );
        // The body is complete, but the client never ended it.
        socket.write(
          Buffer.concat([
            frame("reset", 0, 1, CANCEL),
            frame("headers", END_HEADERS | END_STREAM, 3, head("GET", "/livez", authority)),
          ]),
        );
        await within("the answer to what came after it", once(socket, "data"));
        expect((await countOn(session))?.active).toBe(0);
        expect(log).toEqual([]);
      });

      test("curl gets a refusal while it still sends", async () => {
        const [member] = (await start({ maxBodyBytes: 1_000 })) as [RunningMember];
        const args = [
          "-s",
          "--http2",
          "--cacert",
          pki.at("ours.pem"),
          "-H",
          "content-type: application/json",
          "--data-binary",
          "@-",
          "-w",
          " %{http_code}",
        ];
        const curl = run("curl", [...args, `${member.url}/call`]);
        curl.child.stdin?.on("error", () => {}).end(Buffer.alloc(20 * MIB, "x"));
        const { stdout } = await within("curl", curl);
        expect(stdout).toMatch(/payload_too_large.* 413$/);
      });

      test("refuses heads that are too large, and floods of CONTINUATION", async () => {
        const { member, session } = await startWith();
        expect(await json(session, "/livez")).toMatchObject({ status: "ok" });
        const large = open(session, "/livez", undefined, { x: "x".repeat(20_000) });
        await within("the refusal", new Promise((resolve) => large.once("close", resolve)));
        expect(large.rstCode).toBe(constants.NGHTTP2_ENHANCE_YOUR_CALM);
        expect(await json(session, "/livez")).toMatchObject({ status: "ok" });

        const before = await heldBytes();
        const { socket, authority } = await speak(member);
        socket.write(frame("headers", 0, 1, head("GET", "/livez", authority)));
        const more = frame(
          "continuation",
          0,
          1,
          Buffer.concat(
            Array.from({ length: 100 }, (_, index) => field(`x-${index}`, "x".repeat(100))),
          ),
        );
        const flood = async () => {
          for (let sent = 0; sent < 2_000 && !socket.destroyed; sent++)
            if (!socket.write(more))
              await Promise.race([once(socket, "drain"), once(socket, "close")]);
          if (!socket.destroyed) await once(socket, "close");
        };
        await within("the member to close the connection", flood());
        expect((await heldBytes()) - before).toBeLessThan(8 * MIB);
      });

      test("survives thousands of streams that are opened and reset at once", async () => {
        const { member, session } = await startWith({ pools: { pipeline: 2 } });
        const before = await heldBytes();
        const { socket, authority } = await speak(member);
        const body = Buffer.from(
          JSON.stringify({ pool: "pipeline", command: ["sleep", "600"], link: true }),
        );
        const call = head("POST", "/call", authority, { "content-type": "application/json" });
        const flood = async () => {
          for (let stream = 1; stream < 20_000 && !socket.destroyed; stream += 2) {
            const frames = [
              frame("headers", END_HEADERS, stream, call),
              frame("data", END_STREAM, stream, body),
              frame("reset", 0, stream, CANCEL),
            ];
            if (!socket.write(Buffer.concat(frames)))
              await Promise.race([once(socket, "drain"), once(socket, "close")]);
          }
          if (!socket.destroyed) await once(socket, "close");
        };
        await within("the member to close the connection", flood());
        await idleOn(session);
        expect((await heldBytes()) - before).toBeLessThan(16 * MIB);
        lastOf(
          await within(
            "a call",
            collect(eventsIn(open(session, "/call", { pool: "pipeline", command: ["true"] }))),
          ),
          "result",
        );
      });

      test("refuses more streams than a connection may have, before they begin", async () => {
        const { session } = await startWith({ maxStreams: 10_000, maxRate: 100_000 });
        // The refusal comes after the settings.
        await ask(session, "/livez");
        expect(session.remoteSettings).toMatchObject({
          maxConcurrentStreams: 256,
          maxHeaderListSize: 16_384,
        });
      });

      test("closes a connection without requests, even if other frames come on it", async () => {
        const [member] = (await start({ requestTimeoutMs: 300 })) as [RunningMember];
        const silent = await openSocket(member);
        await within("the silent one to be closed", once(silent, "close"));
        const { socket, authority } = await speak(member);
        const begun = await speak(member);
        begun.socket.write(frame("headers", 0, 1, head("GET", "/livez", authority)));
        const pings = setInterval(() => {
          for (const each of [socket, begun.socket])
            if (!each.destroyed) each.write(frame("ping", 0, 0, Buffer.alloc(8)));
        }, 20);
        onTestFinished(() => clearInterval(pings));
        await within(
          "both to be closed",
          Promise.all([once(socket, "close"), once(begun.socket, "close")]),
        );
      });
    });

    describe("a call whose body is its child's input", () => {
      const spec = (command: string[]) => ({
        "content-type": "application/octet-stream",
        "pool-spec": JSON.stringify({ command }),
      });

      /** A gateway and the member behind it. */
      async function startBoth(options: Options = {}) {
        const [gate, far] = (await start({ pools: { gate: 1 }, ...options }, options)) as [
          RunningMember,
          RunningMember,
        ];
        return {
          gate,
          session: await connectTo(gate.url, trusting()),
          behind: await connectTo(far.url, trusting()),
        };
      }
      const begin = (session: ClientHttp2Session, command: string[]) => {
        const stream = session.request({
          ":path": "/pools/pipeline/call",
          ":method": "POST",
          ...spec(command),
        });
        stream.on("error", () => {});
        return stream;
      };

      test("is answered while the input arrives, and its sender may be silent", async () => {
        const { session } = await startBoth({ requestTimeoutMs: 300 });
        const stream = begin(session, [
          "sh",
          "-c",
          'while read -r line; do echo "got $line"; done',
        ]);
        const events = eventsIn(stream);
        const next = async () => (await within("an event", events.next())).value;
        expect(await next()).toMatchObject({ type: "placed" });
        stream.write("one\n");
        expect(await next()).toMatchObject({ text: "got one\n" });
        // A stored input that makes no progress is refused in the same time.
        const upload = session.request({
          ":path": "/pools/pipeline/children",
          ":method": "POST",
          ...spec([]),
        });
        upload.write("half");
        expect((await headOf(upload)).status).toBe(408);
        stream.end("two\n");
        expect(await next()).toMatchObject({ text: "got two\n" });
        expect(await next()).toMatchObject({ type: "result" });
      });

      test("succeeds when the child stops reading: the rest is not needed", async () => {
        const { session, behind } = await startBoth();
        const stream = begin(session, ["head", "-c", "10"]);
        const more = () => {
          while (!stream.closed && stream.write(Buffer.alloc(65_536))) {}
        };
        stream.on("drain", more);
        more();
        expect((await bytesOf(stream)).toString()).toMatch(/event: result\n/);
        await idleOn(behind);
      });

      test("ends its child when it is reset", async () => {
        const { gate, behind } = await startBoth();
        const { socket, authority } = await speak(gate);
        socket.write(
          frame(
            "headers",
            END_HEADERS,
            1,
            head("POST", "/pools/pipeline/call", authority, spec(["cat"])),
          ),
        );
        socket.write(frame("data", 0, 1, Buffer.from("half")));
        await until("the child", async () => (await countOn(behind))?.active === 1);
        const { children } = await json<{ children: ChildInfo[] }>(behind, "/children");
        const events = eventsIn(open(behind, `/children/${children[0]?.id}/events`));
        const told: NumberedEvent[] = [];
        const read = async () => {
          for await (const event of events) {
            told.push(event);
            if (event.type === "stdout") socket.write(frame("reset", 0, 1, CANCEL));
          }
        };
        await within("the end", read());
        expect(textOf(told)).toBe("half");
        expect(lastOf(told, "failed").problem.code).toBe("cancelled");
        await idleOn(behind);
      });
    });

    test("a draining member sends GOAWAY: answers complete, new calls go elsewhere", async () => {
      const { member, session } = await startWith({ drainMs: 20_000 });
      const call = eventsIn(
        open(session, "/call", {
          pool: "pipeline",
          command: ["sh", "-c", "sleep 1; echo finished"],
        }),
      );
      const rest = collect(call);
      await until("the child to be there", async () => (await countOn(session))?.active === 1);
      const goaway = once(session, "goaway");
      expect((await ask(session, "/drain", {}, { ":method": "POST" })).status).toBe(202);
      // The answer to the next request is the last one of its connection.
      const next = await connectTo(member.url, trusting());
      const last = once(next, "goaway");
      expect((await ask(next, "/readyz")).status).toBe(503);
      await within("GOAWAY", last);
      expect(textOf(await within("the call", rest))).toBe("finished\n");
      await within("GOAWAY", goaway);
      await within("the member to leave", member.stopped);
    });

    test("a member that stops cuts off a stalled reader and an idle connection", async () => {
      const { member, session } = await startWith({ drainMs: 0, graceMs: 50 });
      const { stream } = await headOf(
        open(session, "/call", { pool: "pipeline", command: ["yes"] }),
      );
      await openSocket(member);
      stream.pause();
      await within("the member to stop", member.stop());
    });
  },
);
