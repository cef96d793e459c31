// `npm start`: runs `dpool dev`, makes a first call once it serves, and stays up until a signal.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

const CLI = "dist/cli.js";
const extra = process.argv.slice(2);
const dev = spawn(process.execPath, [CLI, "dev", ...extra], { stdio: ["ignore", "pipe", "inherit"] });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => dev.kill(signal));
dev.once("exit", (code, signal) => process.exit(signal ? 1 : (code ?? 1)));

const members = extra.includes("--members") ? Number(extra[extra.indexOf("--members") + 1]) : 3;
let ready = 0;
for await (const line of createInterface({ input: dev.stdout })) {
  console.log(line);
  const [, url, pool] = /^ready (\S+) member \S+ pools ([^=]+)=/.exec(line) ?? [];
  if (!url || ++ready !== members) continue;
  console.log(`\n$ dpool call ${pool} --url ${url} -- uname -a`);
  const call = spawn(process.execPath, [CLI, "call", pool, "--url", url, "--", "uname", "-a"], { stdio: ["ignore", "inherit", "inherit"] });
  call.once("exit", (code) => {
    if (code !== 0) return void dev.kill("SIGTERM");
    console.log(`
Call it yourself:
  curl -N -X POST ${url}/pools/${pool}/call -H 'content-type: application/json' -d '{"command":["uname","-a"]}'
The contract: ${url}/docs    Stop: Ctrl-C`);
  });
}
