/**
 * Attacks by output: bytes arrive as written, or not at all, and never as an event that the child
 * made.
 */
import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { outputBytes } from "../../sdk/typescript/node.ts";
import { RING_ENTRIES } from "../../server/supervisor/output/event-log.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import {
  callEvents,
  collect,
  getJson,
  heldBytes,
  lastOf,
  post,
  streamOf,
  textOf,
  until,
  within,
} from "../helpers/member.ts";

const MIB = 1024 * 1024;
/** Long outputs take long on a busy machine. */
const LONG_MS = 50_000;

const FORGED =
  "\n\nevent: result\ndata: {}\n\nevent: result\nid: 99\n" +
  'data: {"type":"result","exitCode":0,"artifacts":[]}\n\n';
const SHAPES: readonly (readonly [shape: string, bytes: Buffer])[] = [
  ["events", Buffer.from(FORGED)],
  ["events with CR", Buffer.from(FORGED.replaceAll("\n", "\r"))],
  ["events with CR LF", Buffer.from(FORGED.replaceAll("\n", "\r\n"))],
  ["every byte", Buffer.from(Array.from({ length: 1024 }, (_, index) => index % 256))],
  ["NUL and control characters", Buffer.from("a\0b\u0001\u001b[2J\u0085\u2028\u2029\ufeffc\0")],
  ["letters of several bytes", Buffer.from("\ufeffäöü€😀漢字".repeat(20))],
  [
    "halves of letters",
    Buffer.from([
      0xe2, 0x82, 0x41, 0xf0, 0x9f, 0x98, 0xed, 0xa0, 0x80, 0xff, 0xc0, 0x80, 0xe2, 0x82,
    ]),
  ],
  ["JSON that ends its string", Buffer.from('"}\n\n{"type":"failed"}\\u0000\\"\\\\')],
];

describe.skipIf(hostileMissing)(
  `output${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test.each(SHAPES)(
      "shaped like %s arrives as written, at once or byte by byte",
      async (_, bytes) => {
        const { member, contained } = await startAttacked();
        for (const command of [["cat"], ["dd", "bs=1", "status=none"], ["sh", "-c", "cat >&2"]]) {
          for (const outputEncoding of ["text", "base64"] as const) {
            const events = await callEvents(member.url, "/call", {
              pool: "pipeline",
              command,
              outputEncoding,
              stdin: { base64: bytes.toString("base64") },
            });
            const type = command[0] === "sh" ? "stderr" : "stdout";
            if (outputEncoding === "text")
              expect(textOf(events, type)).toBe(
                new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes),
              );
            else
              expect(
                Buffer.concat(
                  events.map((event) =>
                    event.type === type ? Buffer.from(outputBytes(event)) : Buffer.alloc(0),
                  ),
                ),
              ).toEqual(bytes);
            expect(new Set(events.map((event) => event.type))).toEqual(
              new Set(["placed", type, "result"]),
            );
            expect(events.map(({ id }) => id)).toEqual(events.map((_, index) => index + 1));
          }
        }
        await contained();
      },
    );

    test("an event's frame has no line that the child made, for any parser", async () => {
      const { member } = await startAttacked();
      const all = Buffer.concat(SHAPES.map(([, bytes]) => bytes)).toString("base64");
      const answer = await post(member.url, "/call", {
        pool: "pipeline",
        command: ["dd", "bs=7", "status=none"],
        stdin: { base64: all },
      });
      const raw = await within("the whole answer", answer.text());
      const lines = raw.split(/\r\n|\r|\n/).filter((line) => line !== "" && !line.startsWith(":"));
      for (const line of lines)
        expect(line).toMatch(
          /^(event: (placed|stdout|stderr|result)|id: \d+|data: \{"type":"\w+",.*\})$/s,
        );
      expect(lines.filter((line) => line === "event: result")).toHaveLength(1);
      expect(lines.filter((line) => line === "event: placed")).toHaveLength(1);
    });

    test("100 MB without a newline arrive whole", { timeout: LONG_MS * 2 }, async () => {
      const { member, contained } = await startAttacked();
      const answer = await post(member.url, "/call", {
        pool: "pipeline",
        command: ["sh", "-c", "head -c 100M /dev/zero | tr '\\0' x"],
      });
      let length = 0;
      let last: string | undefined;
      const read = async () => {
        for await (const event of streamOf(answer)) {
          last = event.type;
          if (event.type !== "stdout") continue;
          length += event.text?.length ?? 0;
          if (/[^x]/.test(event.text ?? "")) throw new Error("expected only x");
        }
      };
      await within("the whole output", read(), LONG_MS);
      expect({ length, last }).toEqual({ length: 100 * MIB, last: "result" });
      await contained();
    });

    test.each([0, 1, 1000, 65_536, 100_001])(
      "a limit of %i bytes lets through these and no more",
      async (outputBytes) => {
        const { script } = await startAttacked();
        const within = await script(`head -c ${outputBytes} /dev/zero | tr '\\0' x`, {
          limits: { outputBytes },
        });
        expect(textOf(within)).toBe("x".repeat(outputBytes));
        expect(lastOf(within, "result").exitCode).toBe(0);
        const beyond = await script(
          `trap '' TERM PIPE; head -c ${outputBytes} /dev/zero | tr '\\0' x; echo; while :; do ` +
            "echo y; echo z >&2; done",
          {
            limits: { outputBytes },
          },
        );
        expect(lastOf(beyond, "failed").problem).toMatchObject({
          code: "payload_too_large",
          detail: `the child wrote more than ${outputBytes} bytes of output`,
        });
        expect(textOf(beyond).length + textOf(beyond, "stderr").length).toBe(outputBytes);
      },
    );

    test.each([
      ["as much as it can", "exec cat /dev/zero"],
      [
        "a byte at a time",
        `exec perl -e 'while (1) { syswrite STDOUT, "x"; $n = 0; $n++ while $n < 800 }'`,
      ],
      ["on both streams", "cat /dev/zero >&2 & exec cat /dev/zero"],
    ])(
      "a flood, %s, to a reader that has stopped costs the server little memory, and ends",
      async (_, text) => {
        const { member, contained } = await startAttacked();
        const before = await heldBytes();
        const { hostname, port } = new URL(member.url);
        const socket = connect(Number(port), hostname);
        onTestFinished(() => {
          socket.destroy();
        });
        await within("the connection", once(socket, "connect"));
        socket.pause();
        const spec = { pool: "pipeline", command: ["sh", "-c", text], deadlineMs: 4_000 };
        const body = JSON.stringify(spec);
        socket.write(
          `POST /call HTTP/1.1\r\nhost: ${hostname}:${port}\r\n` +
            "content-type: application/json\r\n" +
            `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
        );
        let most = 0;
        const active = async () =>
          (
            await getJson<{ pools: { pipeline: { active: number } } }>(
              `${member.url}/children/count`,
            )
          ).pools.pipeline.active;
        await until("the child to be there", async () => (await active()) === 1);
        await until("the child to be stopped at its deadline", async () => {
          most = Math.max(most, (await heldBytes()) - before);
          return (await active()) === 0;
        });
        expect(most).toBeLessThan(48 * MIB);
        socket.destroy();
        await contained();
      },
    );

    test("a child without a reader that writes single bytes costs bounded memory", async () => {
      const { member, contained } = await startAttacked();
      // The pauses let the server read each byte alone.
      const command = [
        "perl",
        "-e",
        '$end = time + 4; while (time < $end) { syswrite STDOUT, "x"; $n = 0; $n++ while $n ' +
          "< 800 }",
      ];
      const placed = await post(member.url, "/children", { pool: "pipeline", command });
      expect(placed.status).toBe(201);
      const { id } = (await placed.json()) as { id: string };
      await contained();
      const events = await within(
        "the events that are kept",
        collect(streamOf(await fetch(`${member.url}/children/${id}/events`))),
      );
      expect(lastOf(events, "result").exitCode).toBe(0);
      expect(events.length).toBeLessThanOrEqual(RING_ENTRIES + 1);
    });
  },
);
