/** Attacks by a child with a terminal: on other terminals, on its member, and on its reader. */
import { describe, expect, test } from "vitest";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { lastOf, post, problemOf, streamOf, textOf, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");
const tty = { rows: 24, columns: 80 };

/** Requests on the child's own terminal, and on the ends that the program around it holds. */
const ioctl = (file: string, request: number, argument = '"x"') =>
  `perl -e 'open my $t, "+<", "${file}" or exit 1; my $a = ${argument}; ` +
  `exit(ioctl($t, ${request}, $a) ? 0 : 1)'`;

const VHANGUP = process.arch === "x64" ? 153 : 58;

const REQUESTS = {
  "type into its own terminal": ioctl("/dev/tty", 0x5412),
  "select text of the console": ioctl("/dev/tty", 0x541c),
  "load a line discipline": ioctl("/dev/tty", 0x5423, 'pack "i", 21'),
  "take the console's output": ioctl("/dev/tty", 0x541d, "0"),
  "hang up another terminal": `perl -e 'exit(syscall(${VHANGUP}) == 0 ? 0 : 1)'`,
};
const OTHERS = {
  "open the server's terminal":
    ": </dev/tty0 || : </dev/console && test -c /dev/console -a ! /dev/console -ef /dev/tty",
  "see another child's terminal": "[ $(ls /dev/pts | grep -vc ptmx) -gt 1 ]",
  "open another child's terminal": ": <>/dev/pts/1",
  "open a terminal of the host":
    "for f in /proc/1/root/dev/pts/[0-9]*; do [ $f -ef /dev/pts/0 ] && continue; " +
    ": <>$f && exit; done; exit 1",
  "resize by the member's socket": "for f in /proc/*/fd/12; do : >$f && exit; done; exit 1",
};

describe.skipIf(missing)(`terminals${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("give no way to other terminals", async () => {
    const { member, attack, contained } = await startAttacked();
    // A neighbour with a terminal of its own, which nobody else writes to.
    const neighbour = streamOf(
      await post(member.url, "/call", {
        pool: "pipeline",
        command: ["sh", "-c", "echo up; read line; echo got:$line"],
        tty,
        stdin: { open: true },
        deadlineMs: 30_000,
      }),
    );
    let seen = "";
    let id = "";
    const until = async (text: string) => {
      while (!seen.includes(text)) {
        const { value } = await neighbour.next();
        if (value?.type === "placed") id = value.child.id;
        if (value?.type === "stdout") seen += value.text ?? "";
      }
    };
    await within("the neighbour's terminal", until("up"));
    const all = { ...REQUESTS, ...OTHERS };
    const response = await post(member.url, "/call", {
      pool: "pipeline",
      command: ["sh", "-c", attemptScript(all)],
      tty,
      deadlineMs: 30_000,
    });
    const events = [];
    for await (const event of streamOf(response)) events.push(event);
    expect(outcomesOf(events.map(plain))).toEqual(each(all, "refused"));
    await post(member.url, `/children/${id}/stdin?end=true`, "mine\n");
    await within("the neighbour's line", until("got:mine"));
    expect(seen.replaceAll("\r", "")).toBe("up\nmine\ngot:mine\n");
    await neighbour.return();
    await contained();
    await attack({ command: ["true"], tty });
  });

  test("that are made by the thousand leave those of other children", async () => {
    const { attack } = await startAttacked();
    const hoard = "my @t; while (open my $t, '+<', '/dev/ptmx') { push @t, $t } print scalar @t";
    const events = await attack({ command: ["perl", "-e", hoard], tty });
    // Its own limit of open files comes first.
    expect(Number(textOf(events))).toBeGreaterThan(500);
    expect(textOf(await attack({ command: ["tty"], tty }))).toBe("/dev/pts/0\r\n");
  });

  test("whose programs ignore the hangup, or kill their own, end with the child", async () => {
    const { script } = await startAttacked();
    const stays = "(trap '' HUP TERM INT; exec setsid sleep 100) & (trap '' HUP; sleep 100) & ";
    expect(lastOf(await script(`${stays} exit 4`, { tty }), "result").exitCode).toBe(4);
    const ignores = await script(`trap '' HUP TERM INT; echo up; while :; do :; done`, {
      tty,
      deadlineMs: 1_500,
    });
    expect(lastOf(ignores, "failed")).toMatchObject({
      problem: { code: "deadline_exceeded" },
      exitCode: 137,
    });
    const kills = await script("kill -KILL $PPID; sleep 100", { tty });
    expect(lastOf(kills, "failed").problem.code).toBe("worker_crashed");
    const stops = await script("kill -STOP $PPID; sleep 100", { tty, deadlineMs: 1_500 });
    expect(lastOf(stops, "failed").problem.code).toBe("deadline_exceeded");
  });

  test("that flood, or swallow, cost no more than other output", async () => {
    const { attack, script } = await startAttacked();
    const flood = await attack({ command: ["yes"], tty, limits: { outputBytes: 5_000_000 } });
    expect(lastOf(flood, "failed").problem.code).toBe("payload_too_large");
    // 8 MiB that nobody reads: the input waits with its sender.
    const typed = await attack({
      command: ["sh", "-c", "stty -icanon -echo; echo up; sleep 2; exit 3"],
      tty,
      stdin: "x".repeat(8 * 1024 * 1024),
    });
    expect(lastOf(typed, "result").exitCode).toBe(3);
    // Escapes travel as bytes, and broken UTF-8 is told.
    const escapes = await script("printf '\\033]0;title\\007\\033[6n\\377'", { tty });
    expect(textOf(escapes)).toBe("\u001b]0;title\u0007\u001b[6n\ufffd");
    const closed = await script("exec >/dev/null 2>&1 </dev/null; sleep 1; exit 6", { tty });
    expect(lastOf(closed, "result")).toMatchObject({ exitCode: 6 });
    // A loop that waits for nothing would take all of the second.
    expect(lastOf(closed, "result").usage.cpuMs).toBeLessThan(700);
  });

  test("take no size that is none, and any number of sizes", async () => {
    const { member, contained } = await startAttacked();
    for (const size of [
      { rows: 0, columns: 80 },
      { rows: 24, columns: 4_097 },
      { rows: 1.5, columns: 80 },
      { rows: 24 },
      { rows: "24", columns: 80 },
      { ...tty, cells: 1 },
    ]) {
      const body = { pool: "pipeline", command: ["true"], tty: size };
      expect((await problemOf(await post(member.url, "/call", body))).code).toBe("invalid_request");
    }
    // The program around the terminal is stopped, and reads no size.
    const child = (await (
      await post(member.url, "/children", {
        pool: "pipeline",
        command: ["sh", "-c", "kill -STOP $PPID; sleep 100"],
        tty: { rows: 4_096, columns: 4_096 },
      })
    ).json()) as { id: string };
    for (let round = 0; round < 300; round++) {
      const answer = await post(member.url, `/children/${child.id}/tty`, {
        rows: 1 + round,
        columns: 4_096,
      });
      expect(answer.status).toBe(202);
      await answer.body?.cancel();
    }
    await fetch(`${member.url}/children/${child.id}?graceMs=0`, { method: "DELETE" });
    await contained();
  });
});

/** An event without the carriage returns of a terminal. */
function plain<E extends { type: string; text?: string | undefined }>(event: E): E {
  return event.text === undefined ? event : { ...event, text: event.text.replaceAll("\r", "") };
}
