/** Attacks by what a request carries: arguments, variables, keys, JSON itself. */
import { describe, expect, test } from "vitest";
import { attemptScript, each, outcomesOf } from "../helpers/attempts.ts";
import { hostileMissing, startAttacked } from "../helpers/hostile.ts";
import { getJson, lastOf, post, problemOf, textOf } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

/** Linux refuses a longer single argument. */
const LONGEST_ARGUMENT = 131_071;
const call = (rest: string) => `{"pool":"pipeline","deadlineMs":20000,${rest}}`;

const missing = hostileMissing ?? (onPath("perl") ? undefined : "perl is not installed");

describe.skipIf(missing)(`input${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("options, scripts and operators arrive as plain arguments", async () => {
    const { attack } = await startAttacked();
    const args = [
      "--bind", "/", "/", "--args", "4", "--", "-c", "--share-net", "--uid=0", "-n", "",
      "$(id)", "`id`", "; id", "&& id", "| id", "> /tmp/x", "'\"",
      "$@", "$0", "$IFS", "*", "~", "!!", "\\", "\n", "\t", "%s%n",
      "\u0001\u007f", "é\u{1f4a5}\u2028",
    ]; // biome-ignore format: many small words
    const source = 'for (@ARGV) { print unpack("H*", $_), "\\n" }';
    const hex = (words: readonly string[]) =>
      words.map((word) => `${Buffer.from(word).toString("hex")}\n`).join("");
    expect(textOf(await attack({ command: ["perl", "-e", source, "--", ...args] }))).toBe(
      hex(args),
    );
    for (const program of ["$(id)", "; id", "ls /", "sh -c id", "=", "'", "exec", "\n"]) {
      const events = await attack({ command: [program, "-c", "id"] });
      expect([127, 126], program).toContain(lastOf(events, "result").exitCode);
      expect(textOf(events), program).toBe("");
    }
  });

  test("arguments at the limits work, and beyond them are the caller's mistake", async () => {
    const { member, attack, contained } = await startAttacked();
    const longest = "x".repeat(LONGEST_ARGUMENT);
    expect(
      textOf(await attack({ command: ["perl", "-e", 'print length $ARGV[0], "\\n"', longest] })),
    ).toBe(`${LONGEST_ARGUMENT}\n`);
    expect(
      textOf(
        await attack({
          command: [
            "perl",
            "-e",
            'print length $ENV{LONG}, " ", scalar @ARGV, "\\n"',
            ...Array<string>(6_999).fill(""),
          ],
          env: { LONG: longest.slice("LONG=".length) },
        }),
      ),
    ).toMatch(/^131066 6999\n$/);
    const many = Object.fromEntries(Array.from({ length: 2_000 }, (_, index) => [`V${index}`, ""]));
    expect(textOf(await attack({ command: ["sh", "-c", "env | grep -c ^V"], env: many }))).toBe(
      "2000\n",
    );
    const refused: [string, unknown][] = [
      ["a NUL in an argument", { command: ["echo", "a\0b"] }],
      ["a NUL in the program", { command: ["echo\0"] }],
      ["a NUL in a variable", { command: ["env"], env: { A: "a\0B=b" } }],
      ["a byte too many", { command: ["echo", `${longest}x`] }],
      [
        "a byte too many, in fewer letters",
        { command: ["echo", `${"é".repeat(LONGEST_ARGUMENT / 2)}éx`] },
      ],
      [
        "a byte too many in a variable and its name",
        { command: ["env"], env: { LONG: longest.slice("LONG=".length - 1) } },
      ],
      ["20,000 arguments", { command: ["echo", ...Array<string>(20_000).fill("a")] }],
      [
        "10,000 variables",
        {
          command: ["env"],
          env: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`V${index}`, ""])),
        },
      ],
      [
        "arguments and variables that are too many together",
        { command: ["echo", ...Array<string>(7_000).fill("a")], env: many },
      ],
      ["2 MiB of arguments", { command: ["echo", ...Array<string>(20).fill(longest)] }],
      ["no program", { command: [] }],
      ["an empty program", { command: [""] }],
      ["an option of bubblewrap as the program", { command: ["--bind", "/", "/", "sh"] }],
      ["an option of the shell as the program", { command: ["-c", "id"] }],
      ["the end of options as the program", { command: ["--", "id"] }],
      ["a variable's name with =", { command: ["env"], env: { "A=B": "c" } }],
      [
        "a variable's name that is a function of bash",
        { command: ["env"], env: { "BASH_FUNC_id%%": "() { echo; }" } },
      ],
      ["an empty variable's name", { command: ["env"], env: { "": "a" } }],
    ];
    for (const [label, spec] of refused) {
      const answer = await post(member.url, "/call", { pool: "pipeline", ...(spec as object) });
      expect([answer.status, (await problemOf(answer)).code], label).toEqual([
        400,
        "invalid_request",
      ]);
    }
    await contained();
  });

  test("variables steer the child itself, and nothing of what is outside", async () => {
    const { attack, script } = await startAttacked();
    // Whoever runs this code says so, and says as whom.
    const mark = "echo marked as $(id -u) in $(grep -c . /proc/net/dev) >&2; ";
    const env = {
      NODE_OPTIONS: "--require=/work/none.js", LD_PRELOAD: "/work/none.so",
      LD_LIBRARY_PATH: "/work", LD_AUDIT: "/work/none.so", GLIBC_TUNABLES: "glibc.malloc.check=3",
      GCONV_PATH: "/work", BASH_ENV: "/work/rc", ENV: "/work/rc",
      SHELLOPTS: "xtrace", PS4: `$(${mark})`, PS1: `$(${mark})`, PROMPT_COMMAND: mark, IFS: "/",
      CDPATH: "/", PATH: "/work:/usr/bin:/bin", HOME: "/root", TMPDIR: "/", PWD: "/root",
      PERL5OPT: "-M/work/none", BWRAP_ARGS: "--bind / /", POSIXLY_CORRECT: "1", LINES: "-1",
    }; // biome-ignore format: many small words
    const events = await attack({
      command: [
        "/bin/sh",
        "-c",
        'env | sort; echo "uid $(id -u)"; ls -A /work; test -e /root && echo root',
      ],
      env,
    });
    const own = textOf(events);
    expect(own).toContain("LD_LIBRARY_PATH=/work\n");
    expect(own).toContain("BASH_ENV=/work/rc\n");
    expect(own).toMatch(/\nuid 65534\n$/);
    expect(textOf(events, "stderr")).not.toMatch(/marked as (?!65534 )/);
    // The loader names each program into which it puts libraries, where its variables reach.
    const loaded = await attack({ command: ["env"], env: { LD_DEBUG: "files" } });
    const programs = [...textOf(loaded, "stderr").matchAll(/initialize program: (\S+)/g)].map(
      ([, program]) => program,
    );
    // The loader speaks for the sandbox's own shell too, on a stderr that is not the child's.
    expect(programs).toEqual(["env"]);
    const first = textOf(await script("tr '\\0' '\\n' </proc/1/environ", { env: { MARK: "in" } }));
    expect(first).toContain("PATH=");
    expect(first).not.toContain("MARK");
    const named = await attack({
      command: ["env"],
      env: { POOL_MEMBER: "forged", POOL_NAME: "forged", POOL_CHILD_ID: "forged" },
    });
    expect(textOf(named)).not.toContain("forged");
    expect(textOf(named)).toMatch(/^POOL_MEMBER=m1$/m);
  });

  test("a function's variables end it at most, and the next one is as ever", async () => {
    const { attack } = await startAttacked();
    const variables = [
      { NODE_OPTIONS: "--require=/work/none.js" },
      { NODE_OPTIONS: "--inspect-brk=0.0.0.0:9229" },
      { NODE_CHANNEL_FD: "3" },
      { LD_PRELOAD: "/work/none.so" },
      { LD_LIBRARY_PATH: "/proc/self/fd" },
      { NODE_DEBUG: "fs,net", NODE_V8_COVERAGE: "/work", NODE_PENDING_DEPRECATION: "1" },
    ];
    for (const env of variables) {
      const events = await attack({ function: { source: "() => 1212" }, env, deadlineMs: 3_000 });
      const last = events.at(-1);
      if (last?.type === "result") expect(last.value).toBe(1212);
      else
        expect(["worker_crashed", "deadline_exceeded"], JSON.stringify(env)).toContain(
          lastOf(events, "failed").problem.code,
        );
    }
    expect(lastOf(await attack({ function: { source: "() => 1212" } }), "result").value).toBe(1212);
  });

  test("names of an object's own parts are plain keys, or refused", async () => {
    const { member, contained } = await startAttacked();
    const keys = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty"];
    for (const key of keys) {
      const pair = `${JSON.stringify(key)}:"polluted"`;
      const object = `${JSON.stringify(key)}:{"polluted":"yes","command":["id"]}`;
      const bodies: [string, number[]][] = [
        [`"command":["env"],"env":{${pair}}`, [key === "__proto__" ? 400 : 200]],
        [`"command":["env"],"labels":{${pair}}`, [key === "__proto__" ? 400 : 200]],
        [`"command":["env"],"limits":{${object}}`, [200, 400]],
        [`"command":["env"],${object}`, [200, 400]],
        [`${object}`, [400]],
        [`"function":{"source":"() => 1",${object}}`, [200, 400]],
        [
          `"function":{"source":"(a) => [Object.keys(a), ({}).polluted ?? null]",` +
            `"args":[{${object}}]}`,
          [200],
        ],
      ];
      for (const [body, statuses] of bodies) {
        const answer = await post(member.url, "/call", call(body), { accept: "application/json" });
        expect(statuses, body).toContain(answer.status);
        const text = await answer.text();
        if (body.includes("Object.keys(a)"))
          expect((JSON.parse(text) as { value: unknown }).value).toEqual([[key], null]);
      }
      const pool = await post(
        member.url,
        "/call",
        `{"pool":${JSON.stringify(key)},"command":["id"]}`,
      );
      expect([400, 404]).toContain(pool.status);
      expect(
        (await fetch(`${member.url}/children/${key}.${"0".repeat(32)}`)).status,
      ).toBeGreaterThanOrEqual(400);
    }
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
    const { children } = await getJson<{ children: { labels: Record<string, string> }[] }>(
      `${member.url}/children`,
    );
    expect(
      children.some(
        ({ labels }) =>
          Object.hasOwn(labels, "constructor") && labels.constructor === ("polluted" as unknown),
      ),
    ).toBe(true);
    await contained();
  });

  test("deep, doubled or broken JSON is answered, and the member serves on", async () => {
    const { member, contained } = await startAttacked();
    const nested = (open: string, close: string, levels = 10_000) =>
      `${open.repeat(levels)}1${close.repeat(levels)}`;
    const bodies: [string, string | Buffer, number][] = [
      [
        "arguments nested 10,000 deep",
        call(`"function":{"source":"(a) => 1","args":[${nested("[", "]")}]}`),
        400,
      ],
      [
        "objects nested 10,000 deep",
        call(`"function":{"source":"(a) => 1","args":[${nested('{"0":', "}")}]}`),
        400,
      ],
      [
        "arguments nested as deep as is allowed",
        call(
          `"function":{"source":"(a) => JSON.stringify(a).length",` +
            `"args":[${nested("[", "]", 998)}]}`,
        ),
        200,
      ],
      [
        "variables nested 10,000 deep",
        call(`"command":["env"],"env":${nested('{"A":', "}")}`),
        400,
      ],
      ["a body nested a million deep", nested("[", "]", 1_000_000), 400],
      ["a body that is never closed", "[".repeat(1_000_000), 400],
      [
        "a number beyond all numbers",
        '{"pool":"pipeline","command":["true"],"deadlineMs":1e999}',
        400,
      ],
      [
        "a number below all numbers",
        '{"pool":"pipeline","command":["true"],"deadlineMs":-1e999}',
        400,
      ],
      [
        "a deadline that is no whole number",
        '{"pool":"pipeline","command":["true"],"deadlineMs":0.5}',
        400,
      ],
      [
        "a limit beyond whole numbers",
        call('"command":["true"],"limits":{"memoryBytes":18446744073709551616}'),
        400,
      ],
      ["half a processor of nothing", call('"command":["true"],"limits":{"cpus":-0}'), 400],
      ["a key twice: the last counts", call('"command":["false"],"command":["echo","last"]'), 200],
      [
        "invalid UTF-8",
        Buffer.concat([
          Buffer.from(call('"command":["echo","').slice(0, -1)),
          Buffer.from([0xff, 0xfe, 0xc0, 0x80]),
          Buffer.from('"]}'),
        ]),
        200,
      ],
      ["a byte order mark", Buffer.from(`\ufeff${call('"command":["true"]')}`), 200],
      ["UTF-16", Buffer.from(call('"command":["true"]'), "utf16le"), 400],
      ["half a surrogate", call('"command":["echo","\\ud800"]'), 200],
      ["an array", "[]", 400],
      ["null", "null", 400],
      ["nothing", "", 400],
      ["a comment", `/* */ ${call('"command":["true"]')}`, 400],
      ["a comma too many", call('"command":["true",]'), 400],
    ];
    for (const [label, body, status] of bodies) {
      for (const path of ["/call", "/pools/pipeline/call"]) {
        const own =
          path === "/call"
            ? body
            : typeof body === "string"
              ? body.replace('"pool":"pipeline",', "")
              : Buffer.from(body.toString("latin1").replace('"pool":"pipeline",', ""), "latin1");
        const answer = await fetch(`${member.url}${path}`, {
          method: "POST",
          headers: { "content-type": "application/json", accept: "application/json" },
          body: typeof own === "string" ? own : new Uint8Array(own),
        });
        const text = await answer.text();
        expect([
          label,
          path,
          answer.status,
          answer.status === 200 || (JSON.parse(text) as { code: string }).code,
        ]).toEqual([label, path, status, status === 200 || "invalid_request"]);
        if (label.includes("last counts"))
          expect((JSON.parse(text) as { stdout: string }).stdout).toBe("last\n");
      }
    }
    await contained();
  });

  test("names of files that lead elsewhere are refused", async () => {
    const { member, script } = await startAttacked();
    for (const path of [
      "/etc/passwd",
      "../up",
      "a/../../b",
      "a//b",
      "./a",
      "a/",
      "",
      "a\0b",
      "..",
      "x".repeat(256),
    ]) {
      for (const field of [{ files: { [path]: "text" } }, { artifacts: [path] }]) {
        const answer = await post(member.url, "/call", {
          pool: "pipeline",
          command: ["true"],
          ...field,
        });
        expect([answer.status, (await problemOf(answer)).code], JSON.stringify(field)).toEqual([
          400,
          "invalid_request",
        ]);
      }
    }
    const attempts = {
      "the workspace's parent": "echo x >/work/../up",
      "the root by a link": "ln -s / /work/root && echo x >/work/root/up",
      "a folder of the system": "mkdir /usr/up",
    };
    expect(outcomesOf(await script(attemptScript(attempts)))).toEqual(each(attempts, "refused"));
  });
});
