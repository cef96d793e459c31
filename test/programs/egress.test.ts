/** Programs that reach listed names and ports through the member's proxy, with their defaults. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { egressMissing, reachable } from "../helpers/egress.ts";
import { callEvents, lastOf, startOne, textOf } from "../helpers/member.ts";
import { onPath, pythonMissing } from "../helpers/programs.ts";

/** The packages of the tests' own Python. */
const LIB = ".tools/python/lib";
const PACKAGES = existsSync(LIB)
  ? execFileSync("find", [LIB, "-maxdepth", "2", "-name", "site-packages"], { encoding: "utf8" })
  : "";
const packagesMissing =
  pythonMissing ?? (PACKAGES === "" ? "the tests' Python packages are not installed" : undefined);

const PYTHON = {
  urllib: "import sys, urllib.request as r; print(r.urlopen(sys.argv[1], b'in').read().decode())",
  requests: "import sys, requests; print(requests.post(sys.argv[1], data=b'in').text)",
  httpx: "import sys, httpx; print(httpx.post(sys.argv[1], content=b'in').text)",
};
const unless = (program: string) => (onPath(program) ? undefined : `${program} is not on PATH`);
/** Programs that print the service's answer to a URL, which is their last argument. */
const PROGRAMS: readonly [name: string, missing: string | undefined, argv: readonly string[]][] = [
  ["curl", unless("curl"), ["curl", "-sS", "-d", "in"]],
  ["wget", unless("wget"), ["wget", "-qO-", "--ca-certificate=ca.pem", "--post-data=in"]],
  ["urllib", pythonMissing, ["python3", "-c", PYTHON.urllib]],
  ["requests", packagesMissing, ["python3", "-c", PYTHON.requests]],
  ["httpx", packagesMissing, ["python3", "-c", PYTHON.httpx]],
];

/** A repository in a folder, as a server without git's own protocol has it. */
function repository(): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-git-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, stdio: "pipe" });
  git("init", "-q", ".");
  const author = ["-c", "user.name=a", "-c", "user.email=a@b.example"];
  git(...author, "commit", "-q", "--allow-empty", "-m", "cloned");
  git("update-server-info");
  return join(folder, ".git");
}

async function start(folder = "/nowhere") {
  const { pool, spec, urls, hosts } = await reachable(folder);
  const readOnly = PACKAGES === "" ? [] : [`${resolve(PACKAGES.trim())}:/packages`];
  const pools = {
    plain: { ...pool, readOnly },
    warm: { ...pool, warm: 1 },
    reuse: { ...pool, reuse: true },
  };
  const member = await startOne({ pools, graceMs: 200 });
  const call = (name: keyof typeof pools, more: object) =>
    callEvents(member.url, "/call", { pool: name, ...spec, ...more });
  return { member, pools, call, urls, hosts, env: { ...spec.env, PYTHONPATH: "/packages" } };
}

describe.skipIf(egressMissing)(
  `egress${egressMissing ? ` (skipped: ${egressMissing})` : ""}`,
  () => {
    const all = PROGRAMS.filter(([, missing]) => missing === undefined);
    const none = PROGRAMS.flatMap(([, missing]) => missing ?? []).join(", ");

    test(`https and http from ${all.map(([name]) => name)}${none && ` (${none})`}`, async () => {
      const { call, urls, env } = await start();
      for (const [name, , argv] of all)
        for (const url of urls) {
          const events = await call("plain", { command: [...argv, `${url}/a?b`], env });
          expect([name, textOf(events).trim()]).toEqual([name, "POST /a?b in"]);
        }
    });

    test.skipIf(!onPath("git"))("git clones over https and http", async () => {
      const { call, urls } = await start(repository());
      for (const url of urls) {
        const text = `git clone -q ${url}/files/ copy && git -C copy log --format=%s`;
        expect(textOf(await call("plain", { command: ["sh", "-c", text] }))).toBe("cloned\n");
      }
    });

    test("fetch in a function, also in a process that waits or is used again", async () => {
      const { call, urls } = await start();
      const source = `async (url) => {
      const { once } = require("node:events");
      const own = require("node:http").createServer((_, answer) => answer.end("own"));
      await once(own.listen(8080, "127.0.0.1"), "listening");
      const texts = await Promise.all([url, "http://127.0.0.1:8080/"].map(async (each) =>
        (await fetch(each, { method: "POST", body: "in" })).text()));
      own.close();
      return texts;
    }`;
      for (const pool of ["plain", "warm", "reuse", "reuse"] as const) {
        const events = await call(pool, { function: { source, args: [`${urls[1]}/a`] } });
        expect(lastOf(events, "result").value).toEqual(["POST /a in", "own"]);
      }
    });

    test("a child keeps its variables, and a caller may replace the proxy's", async () => {
      const { call } = await start();
      const env = { A: "b=c", LINES: "a\nb", EMPTY: "", NO_PROXY: "*", UMLAUT: "ü€" };
      const text = textOf(await call("plain", { command: ["env", "-0"], env }));
      const found = Object.fromEntries(text.split("\0").map((line) => line.split(/=(.*)/s)));
      const proxy = "http://127.0.0.1:3128";
      expect(found).toMatchObject({ ...env, HOME: "/work", PWD: "/work" });
      expect(found).toMatchObject({ HTTPS_PROXY: proxy, https_proxy: proxy, http_proxy: proxy });
    });

    test("a grant that is missing is named, and not the way to the proxy", async () => {
      const network = { allow: ["files.example:443"] };
      const pipeline = { maxChildren: 1, network, readOnly: ["/missing"] };
      await expect(startOne({ pools: { pipeline } })).rejects.toThrow(
        /^(?!.*perl).*Can't find source path \/missing/s,
      );
    });

    test("a reload takes another list for the children that start after it", async () => {
      const { member, pools, call, urls, hosts } = await start();
      const command = ["curl", "-sS", "-o", "answer", "-w", "%{http_code}", `${urls[1]}/`];
      expect(textOf(await call("plain", { command }))).toBe("200");
      const network = { allow: [hosts.secure] };
      await member.reload({ pools: { ...pools, plain: { ...pools.plain, network } } });
      expect(textOf(await call("plain", { command }))).toBe("403");
    });
  },
);
