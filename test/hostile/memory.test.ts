/** Attacks on memory: the whole child ends with `out_of_memory`, and nobody else notices. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { BOTH_WAYS, groupsLeft, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, post, problemOf, streamOf, textOf, within } from "../helpers/member.ts";

const MIB = 1024 * 1024;
const LIMIT = 64 * MIB;
const limits = { memoryBytes: LIMIT };
const outOfMemory = (bytes = LIMIT) => ({
  code: "out_of_memory",
  detail: `the child took more than its ${bytes} bytes of memory`,
});
const perl = (program: string): ChildSpecInput => ({ command: ["perl", "-e", program] });
const node = (source: string): ChildSpecInput => ({ function: { source } });

/** Writes into a pipe or socket until it is full. 4, 2048: F_SETFL, O_NONBLOCK. */
const HOARD =
  "use Socket; sub hoard { my ($r, $w) = @_; push @held, $r, $w; fcntl $w, " +
  '4, 2048; $n += $k while $k = syswrite $w, "x" x 65536 }';

const HOLDERS: readonly (readonly [where: string, spec: ChildSpecInput])[] = [
  [
    "Node's heap",
    node(
      "() => { const held = []; for (;;) held.push(Array.from({ length: 1000 }, " +
        "() => ({}))); }",
    ),
  ],
  [
    "Node's buffers",
    node("() => { const held = []; for (;;) held.push(Buffer.alloc(1 << 20, 1)); }"),
  ],
  [
    "a worker of Node's",
    node(
      "() => new Promise(() => new (require('worker_threads').Worker)('const " +
        "held = []; for (;;) held.push(Buffer.alloc(1 << 20, 1))', { eval: true }))",
    ),
  ],
  ["a string of perl's", perl('$held .= "x" x 1048576 while 1')],
  [
    "many processes, each a little",
    perl('for (1 .. 40) { fork or do { $held = "x" x 4194304; sleep } } sleep'),
  ],
  ["files in /work", { command: ["sh", "-c", "head -c 100M /dev/zero >/work/file; sleep 30"] }],
  [
    "files in all writable folders together",
    {
      command: [
        "sh",
        "-c",
        "for place in /dev/shm /tmp /work; do head -c 40M /dev/zero >$place/file; " +
          "done; sleep 30",
      ],
    },
  ],
  ["empty files, so many", perl('for (1 .. 3e6) { open $file, ">", "/work/$_" or die $! }')],
  ["empty folders, so many", perl('for (1 .. 3e6) { mkdir "/work/$_" or die $! }')],
  [
    "pipes that nobody reads",
    perl(
      `${HOARD} for (1 .. 480) { my ($r, $w); pipe $r, $w or die $!; fcntl $w, ` +
        "1031, 1 << 18; hoard($r, $w) } sleep",
    ),
  ],
  [
    "sockets that nobody reads",
    perl(
      `${HOARD} for (1 .. 480) { my ($r, $w); socketpair $r, $w, AF_UNIX, ` +
        "SOCK_STREAM, 0 or die $!; hoard($r, $w) } sleep",
    ),
  ],
  [
    "shared memory of System V",
    perl(
      '$id = shmget 0, 200 << 20, 0600; shmwrite $id, "x" x (1 << 20), $_ << 20, ' +
        "1 << 20 or die $! for 0 .. 199; sleep",
    ),
  ],
];

describe.skipIf(hostileMissing)(
  `memory${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test.each(HOLDERS)("held in %s ends the child", async (_, spec) => {
      const { attack } = await startAttacked();
      const events = await attack({ limits, ...spec });
      const { problem, usage } = lastOf(events, "failed");
      expect(problem).toMatchObject(outOfMemory());
      // The kernel counts pages; those of bubblewrap are included.
      expect(usage?.maxRssBytes).toBeLessThanOrEqual(LIMIT);
    });

    test("the whole child ends when the kernel kills one process of it", async () => {
      const pool = { ...BOTH_WAYS.prepared, limits };
      const { inBoth } = await startAttacked({ pools: { ...BOTH_WAYS, prepared: pool } });
      const hog = `perl -e '$held .= "x" x 1048576 while 1'`;
      const script =
        `trap '' TERM; setsid sleep 60 & ${hog}; echo hog ended; ${hog}; ` +
        "while :; do sleep 1; done";
      for (const events of await inBoth({ command: ["sh", "-c", script], limits }))
        expect(lastOf(events, "failed").problem).toMatchObject(outOfMemory());
    });

    test("a child that ends by itself afterwards is reported the same", async () => {
      const { script } = await startAttacked();
      const events = await script(`perl -e '$held .= "x" x 1048576 while 1'; exit 0`, { limits });
      expect(lastOf(events, "failed").problem).toMatchObject(outOfMemory());
    });

    test("sockets of the child's loopback hold at most the limit, netlink's nothing", async () => {
      const { attack } = await startAttacked();
      const program = `${HOARD}
      socket my $l, AF_INET, SOCK_STREAM, 0 or die $!; bind $l, pack_sockaddr_in(0, \
INADDR_LOOPBACK) or die $!; listen $l, 500;
      for (1 .. 200) {
        my ($r, $w); socket $w, AF_INET, SOCK_STREAM, 0; connect $w, getsockname $l or die $!; \
accept $r, $l or die $!;
        setsockopt $r, SOL_SOCKET, SO_RCVBUF, 8 << 20; hoard($r, $w);
      }
      for (0 .. 21) { print "netlink $_\\n" if socket my $s, 16, SOCK_RAW, $_ }
      print "held $n\\n";`;
      const events = await attack({ limits, ...perl(program) });
      // Version 2 counts the sockets with the rest, and may end the child.
      if (events.at(-1)?.type === "failed")
        expect(lastOf(events, "failed").problem).toMatchObject(outOfMemory());
      else {
        expect(textOf(events)).toMatch(/^held [1-9]\d+\n$/);
        expect(Number(textOf(events).slice("held ".length))).toBeLessThan(LIMIT);
      }
    });

    test("a caller's tighter limit applies, also to swap; a looser one is refused", async () => {
      const { member, script } = await startAttacked({
        pools: { pipeline: { maxChildren: 3, limits: { memoryBytes: 160 * MIB } }, sibling: 1 },
      });
      const hold = "head -c 80M /dev/zero | tail -c 80M | wc -c";
      expect(textOf(await script(hold))).toBe(`${80 * MIB}\n`);
      expect(lastOf(await script(hold, { limits }), "failed").problem).toMatchObject(outOfMemory());
      const refused = await post(member.url, "/call", {
        pool: "pipeline",
        command: ["true"],
        limits: { memoryBytes: 160 * MIB + 1 },
      });
      expect(refused.status).toBe(400);
      expect(await problemOf(refused)).toMatchObject({
        code: "invalid_request",
        fields: [
          {
            path: "/limits/memoryBytes",
            message: `expected at most ${160 * MIB}, this pool's own limit; got ${160 * MIB + 1}`,
          },
        ],
      });
      const running = streamOf(
        await post(member.url, "/call", {
          pool: "pipeline",
          link: true,
          limits,
          command: ["sh", "-c", "echo up; sleep 30"],
        }),
      );
      let event: NumberedEvent | undefined;
      while (event?.type !== "stdout")
        event = (await within("the child's output", running.next())).value as
          | NumberedEvent
          | undefined;
      const swaps = groupsLeft().flatMap((group) =>
        ["memory.limit_in_bytes memory.memsw.limit_in_bytes", "memory.max memory.swap.max"]
          .map((names) => names.split(" ").map((name) => join(group, name)))
          .filter((files) => files.every((file) => existsSync(file)))
          .map((files) => files.map((file) => Number(readFileSync(file, "utf8"))))
          .filter(([memory]) => memory === LIMIT),
      );
      // Version 1 counts memory and swap together. A kernel that counts no swap cannot limit it.
      for (const [, swap] of swaps) expect([0, LIMIT]).toContain(swap);
      await running.return();
    });
  },
);
