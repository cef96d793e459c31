/**
 * Children that resist their end, or hide: they end when they are stopped, and no process of them
 * stays.
 */
import { describe, expect, test } from "vitest";
import type { ChildSpecInput } from "../../openapi/schemas/spec.ts";
import type { NumberedEvent } from "../../sdk/typescript/http/read-events.ts";
import { type Attacked, hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { collect, lastOf, post, streamOf, textOf, within } from "../helpers/member.ts";

type Reading = { readonly id: string; readonly rest: Promise<NumberedEvent[]> };

/** Starts a child and waits until it says `up`. Resolves with its id and the events that follow. */
async function up(
  { member }: Attacked,
  text: string,
  spec: ChildSpecInput = {},
  signal?: AbortSignal,
): Promise<Reading> {
  const answer = await post(
    member.url,
    "/call",
    { pool: "pipeline", command: ["sh", "-c", text], ...spec },
    {},
    signal,
  );
  const stream = streamOf(answer);
  const start = async () => {
    let id = "";
    for (let output = ""; !output.includes("up\n"); ) {
      const { value, done } = await stream.next();
      if (done || value.type === "result" || value.type === "failed")
        throw new Error(`expected up; got ${JSON.stringify(value)}`);
      if (value.type === "placed") id = value.child.id;
      if (value.type === "stdout") output += value.text ?? "";
    }
    return id;
  };
  const id = await within("the child to be up", start());
  const rest = collect(stream);
  rest.catch(() => {});
  return { id, rest };
}

const remove = async ({ member }: Attacked, id: string) => {
  const answer = await within(
    "the answer of DELETE",
    fetch(`${member.url}/children/${id}`, { method: "DELETE" }),
  );
  expect(answer.status).toBeLessThan(300);
};

const FOREVER = "while :; do sleep 0.05; done";
const IGNORING = "trap '' TERM INT HUP QUIT USR1 USR2 PIPE";

/** Ways to resist an end. Each child says `up` when it is ready. */
const TRENCHES: readonly (readonly [how: string, text: string])[] = [
  ["ignores TERM", `${IGNORING}; echo up; ${FOREVER}`],
  ["has stopped itself", "(sleep 0.1; echo up) & kill -STOP $$"],
  [
    "has stopped every process in sight",
    "sleep 60 & sleep 60 & (trap '' TERM; setsid sh -c 'sleep 0.1; echo up; kill -STOP " +
      `-1; ${FOREVER}') & ${FOREVER}`,
  ],
  [
    "has daemons with and without its output",
    `${IGNORING}; setsid sh -c '(${FOREVER}) &' & setsid sh -c '(${FOREVER}) &' <&- >&- ` +
      `2>&- & echo up; ${FOREVER}`,
  ],
  // `exec`: a shell ends by itself where the process limit lets it start no more.
  [
    "respawns",
    `${IGNORING}; export T='sleep 0.02; setsid sh -c "$T" & setsid sh -c "$T" &'; setsid ` +
      `sh -c "$T" & echo up; exec sleep 60`,
  ],
  [
    "forks a successor when told to end",
    `trap 'setsid sh -c "trap \\"\\" TERM; ${FOREVER}" & ${FOREVER}' TERM; echo up; ` +
      `${FOREVER}`,
  ],
  ["has closed its output", `${IGNORING}; echo up; exec >&- 2>&-; ${FOREVER}`],
  ["floods while it ignores", `${IGNORING}; echo up; sleep 0.1; exec cat /dev/zero`],
  ["waits in a pipe that nobody opens", `${IGNORING}; mkfifo pipe; echo up; cat pipe; ${FOREVER}`],
  [
    "has many processes beside it",
    `${IGNORING}; n=0; while [ $n -lt 120 ]; do sleep 60 & n=$((n+1)); done; echo up; ` +
      `${FOREVER}`,
  ],
  [
    "has another name and argument list",
    `${IGNORING}; echo up; exec perl -e '$SIG{TERM} = "IGNORE"; $0 = "sh"; sleep 1 while 1'`,
  ],
  [
    "lives on in a thread of its own session",
    `echo up; exec perl -e 'use POSIX; $SIG{$_} = "IGNORE" for keys %SIG; fork and ` +
      "POSIX::pause() while 1; POSIX::setsid(); sleep 1 while 1'",
  ],
];

describe.skipIf(hostileMissing)(
  `endings${hostileMissing ? ` (skipped: ${hostileMissing})` : ""}`,
  () => {
    test.each(TRENCHES)(
      "a child that %s ends when it is stopped, and at its deadline",
      async (_, text) => {
        const attacked = await startAttacked();
        const { id, rest } = await up(attacked, text);
        await remove(attacked, id);
        expect(lastOf(await within("the terminal event", rest), "failed").problem).toMatchObject({
          code: "cancelled",
        });
        await attacked.contained();
        const late = await attacked.script(text, { deadlineMs: 1_500 });
        expect(lastOf(late, "failed").problem).toMatchObject({ code: "deadline_exceeded" });
      },
    );

    test.each([
      ["daemons that hold the output open", `setsid sh -c '(setsid sleep 60 &)' & echo done`],
      [
        "daemons that write on",
        `setsid sh -c '(${IGNORING}; while :; do echo more; done >&2 &)' & sleep 0.05; echo done`,
      ],
      [
        "daemons without descriptors",
        `(cd /; setsid sh -c '(${FOREVER}) &' <&- >&- 2>&-) & echo done`,
      ],
      [
        "daemons that respawn",
        `export T='setsid sh -c "$T" & setsid sh -c "$T" &'; setsid sh -c "$T" >&- 2>&- & ` +
          "sleep 0.2; echo done",
      ],
      ["a stopped process", "sleep 60 & kill -STOP $!; echo done"],
      ["zombies", "perl -e 'for (1 .. 50) { fork or exit } sleep 60' & sleep 0.1; echo done"],
    ])("a program that leaves %s ends with its own exit code", async (_, text) => {
      const { script } = await startAttacked();
      const events = await script(`${text}; exit 7`);
      expect(lastOf(events, "result").exitCode).toBe(7);
      expect(textOf(events)).toBe("done\n");
    });

    test("TERM reaches the program, whose last words arrive", async () => {
      const attacked = await startAttacked({ graceMs: 5_000 });
      const { id, rest } = await up(
        attacked,
        `trap 'echo last words; exit 5' TERM; echo up; ${FOREVER}`,
      );
      await remove(attacked, id);
      const events = await within("the terminal event", rest);
      expect(textOf(events)).toBe("last words\n");
      expect(lastOf(events, "failed").problem.code).toBe("cancelled");
      await attacked.contained();
    });

    test.each([
      [
        "kill -KILL 1",
        "kill -KILL 1; kill -STOP 1; kill -TERM 1; kill -SEGV 1; echo alive; exit 3",
        "alive\n",
        3,
      ],
      [
        "kill -KILL of every other",
        "sleep 60 & sleep 60 & perl -e 'kill 9, -1; print qq(over\\n)'; wait; echo $?",
        undefined,
        undefined,
      ],
      [
        "kill -STOP of every number",
        "n=1; while [ $n -lt 400 ]; do [ $n = $$ ] || kill -STOP $n 2>/dev/null; n=$((n+1)); " +
          "done; echo alive; exit 3",
        "alive\n",
        3,
      ],
      [
        "renicing and rescheduling",
        "renice -n -20 -p 1 $$ 2>/dev/null; perl -e 'syscall 144, 0, 1, pack(q(i), 99); " +
          "setpriority 0, 0, -20'; echo alive; exit 3",
        "alive\n",
        3,
      ],
      [
        "the first process's memory, overwritten",
        `perl -e 'open $m, "/proc/1/maps"; open $f, "+<", "/proc/1/mem" or exit; for (<$m>) ` +
          `{ /^(\\w+)-\\w+ r-xp/ or next; sysseek $f, hex $1, 0; syswrite $f, "\\xcc" x 4096 ` +
          "}'; kill -CHLD 1; (exit 1); sleep 0.1; echo alive",
        undefined,
        undefined,
      ],
      [
        "the first process and itself, shielded from the kernel's choice",
        "echo -1000 >/proc/1/oom_score_adj; echo -1000 >/proc/self/oom_score_adj; sed " +
          "'s/^500$/same/' /proc/1/oom_score_adj /proc/self/oom_score_adj; exit 3",
        "same\nsame\n",
        3,
      ],
    ] as const)("%s harms the attacker alone", async (_, text, output, exitCode) => {
      const { script } = await startAttacked();
      const events = await script(text, { deadlineMs: 5_000 });
      if (output !== undefined) expect(textOf(events)).toBe(output);
      if (exitCode !== undefined) expect(lastOf(events, "result").exitCode).toBe(exitCode);
    });

    test.each(TRENCHES.slice(0, 5))(
      "a linked child that %s ends with its caller's connection",
      async (_, text) => {
        const attacked = await startAttacked();
        const caller = new AbortController();
        const { rest } = await up(attacked, text, { link: true }, caller.signal);
        caller.abort();
        await expect(within("the end of the caller's stream", rest)).rejects.toThrow();
        await attacked.contained();
      },
    );
  },
);
