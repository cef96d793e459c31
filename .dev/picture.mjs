// Makes the picture of the README: real members with real children, in Chromium. It needs a build.
//   node .dev/picture.mjs
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { EmbeddedRegistry, startMember } from "../dist/server.js";

const PICTURE = "server/docs/dashboard.png";
/** 70 seconds of calls, so that the charts have something to show. */
const CALLS_MS = Number(process.argv[2] ?? 70_000);
const JOBS = ["nightly", "release", "preview"];

const registry = new EmbeddedRegistry();
const members = [];
for (const name of ["web1", "web2", "web3", "web4"]) {
  const pools = { pipeline: 10, thumbnails: { maxChildren: 8, warm: { node: 2 } }, reports: 6 };
  const given = { name, port: 0, pools, sandbox: "no-cgroup", drainMs: 20_000, registry };
  members.push(await startMember({ ...given, log: () => {} }));
}
const [{ url }] = members;

let ends = 0;
async function call(pool, spec) {
  const body = JSON.stringify({ waitMs: 60_000, ...spec });
  const headers = { "content-type": "application/json", accept: "text/event-stream" };
  const answer = await fetch(`${url}/pools/${pool}/call`, { method: "POST", headers, body });
  await answer.text();
}
async function keepCalling(pool, specOf) {
  for (let number = 0; Date.now() < ends; number++)
    await call(pool, specOf(number)).catch(() => {});
}

const seconds = (most) => (0.5 + Math.random() * most).toFixed(2);
const film = (number) => ({
  command: [
    "sh",
    "-c",
    `for n in 1 2 3 4 5 6 7 8 9 10; do echo "$n/10 frames" >&3
printf '\\033[32mframe\\033[0m %2s  \\033[1;36mreel-${number}.mp4\\033[0m  written\\n' $n
sleep ${seconds(1)}; done${Math.random() < 0.06 ? "; exit 3" : ""}`,
  ],
  labels: { job: JOBS[number % 3], film: `reel-${number}` },
});
const image = (number) => ({
  function: {
    source: `async function resize(width) {
  await new Promise((done) => setTimeout(done, ${Math.round(800 + Math.random() * 2_500)}));
  ${Math.random() < 0.03 ? 'throw new Error("no such image")' : "return width"} }`,
    args: [320],
  },
  labels: { tenant: `t${number % 5}` },
});
const report = () => ({ command: ["sleep", seconds(12)], deadlineMs: 11_000 });

const profile = mkdtempSync(join(tmpdir(), "dpool-picture-"));
const browser = await chromium.launchPersistentContext(profile, {
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
  viewport: { width: 1_480, height: 980 },
});
const page = await browser.newPage();
await page.goto(url, { timeout: 90_000 });
ends = Date.now() + CALLS_MS;
const calling = [
  ...Array.from({ length: 16 }, () => keepCalling("pipeline", film)),
  ...Array.from({ length: 5 }, () => keepCalling("thumbnails", image)),
  ...Array.from({ length: 26 }, () => keepCalling("reports", report)),
];
await page.waitForTimeout(Math.max(5_000, CALLS_MS - 10_000));
await page.screenshot({ path: PICTURE });
console.log(`wrote ${PICTURE}`);
await browser.close();
void members[3].stop();
await Promise.all([...calling, ...members.map((member) => member.stop())]);
process.exit();
