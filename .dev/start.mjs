// `npm start`: runs `dpool dev`, makes a first call once it serves, and stays up until a signal.
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";

const CLI = "dist/cli.js";
const extra = process.argv.slice(2);
/** 500 ms without another member: all have started, as many as a flag, a variable or a file says. */
const ALL_STARTED_MS = 500;
let dev;
let stopping = false;
// The members drain at a signal. A terminal that closes ends them too.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"])
  process.on(signal, () => {
    stopping = true;
    dev.kill(signal === "SIGHUP" ? "SIGTERM" : signal);
  });
for (const output of [process.stdout, process.stderr]) output.on("error", () => {});
// `.dev/setup.sh` builds nothing under a program that runs from `dist/`.
const running = `dist/running/${process.pid}`;
mkdirSync("dist/running", { recursive: true });
writeFileSync(running, "");
process.on("exit", () => rmSync(running, { force: true }));

/**
 * Runs the members to their end. Resolves with the exit code, and with the log up to the moment
 * when the first member served.
 */
async function run(args) {
  dev = spawn(process.execPath, [CLI, "dev", ...args], {
    // The log goes to this terminal through a pipe.
    env: { DPOOL_LOG_FORMAT: "text", ...process.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let ready;
  let quiet;
  let said = "";
  dev.stderr.setEncoding("utf8").on("data", (text) => {
    process.stderr.write(text);
    if (!ready) said = (said + text).slice(-8_192);
  });
  createInterface({ input: dev.stdout }).on("line", (line) => {
    console.log(line);
    const [, url, pool] = /^ready (\S+) member \S+ pools ([^=]+)=/.exec(line) ?? [];
    if (!url) return;
    ready ??= { url, pool };
    clearTimeout(quiet);
    quiet = setTimeout(() => firstCall(ready.url, ready.pool), ALL_STARTED_MS);
  });
  const code = await new Promise((resolve) =>
    dev.once("close", (status, signal) => resolve(signal ? 1 : status)),
  );
  clearTimeout(quiet);
  return { code, said };
}

function firstCall(url, pool) {
  console.log(`\n$ npx dpool call ${pool} --url ${url} -- uname -a`);
  const call = spawn(process.execPath, [CLI, "call", pool, "--url", url, "--", "uname", "-a"], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  call.once("exit", (code) => {
    if (stopping) return;
    if (code !== 0) return void dev.kill("SIGTERM");
    console.log(`
Call it yourself:
  curl -N ${url}/pools/${pool}/call \\
    -H 'content-type: application/json' -d '{"command":["uname","-a"]}'
The dashboard: ${url}/
The contract: ${url}/docs    Stop: Ctrl-C`);
  });
}

let { code, said } = await run(extra);
// To try it out on loopback, limits on each process are enough. The operator of a member that
// serves others has to choose this.
if (
  code !== 0 &&
  !stopping &&
  said.includes("--sandbox no-cgroup") &&
  !extra.includes("--sandbox")
) {
  console.error(
    "\nstart: trying without control groups, for this machine alone: --sandbox no-cgroup\n",
  );
  ({ code } = await run([...extra, "--sandbox", "no-cgroup"]));
}
process.exitCode = code;
