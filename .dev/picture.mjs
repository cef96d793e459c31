// Makes the picture of the README: real members with real children, in Chromium. It needs a build.
//   node .dev/picture.mjs
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";
import { EmbeddedRegistry, startMember } from "../dist/server.js";

const PICTURE = "server/docs/dashboard.png";
/** 5 minutes of calls, so that the charts have something to show. */
const CALLS_MS = Number(process.argv[2] ?? 300_000);
const JOBS = ["nightly", "release", "preview"];

const registry = new EmbeddedRegistry();
const members = [];
for (const name of ["web1", "web2", "web3"]) {
  const pools = { films: 10, images: { maxChildren: 8, warm: { node: 1 } }, reports: 6 };
  const given = { name, port: 0, pools, drainMs: 20_000, registry };
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
/** The callers begin one after the other. */
async function keepCalling(pool, caller, specOf) {
  await pause(caller * 900);
  for (let number = caller; Date.now() < ends; number += 7)
    await call(pool, specOf(number)).catch(() => {});
}

const between = (least, most) => least + Math.random() * (most - least);
const RENDER = `for n in 1 2 3 4 5 6 7 8 9 10; do
  echo "$n/10 frames" >&3
  printf '\\033[32mframe\\033[0m %2s  \\033[1;36m%s\\033[0m  written\\n' $n "$1"
  sleep "$2"
done
exit "$3"
`;
const film = (number) => ({
  command: [
    ...["sh", "render.sh", `reel-${number}.mp4`, between(0.8, 2.4).toFixed(1)],
    Math.random() < 0.03 ? "3" : "0",
  ],
  files: { "render.sh": { text: RENDER } },
  labels: { job: JOBS[number % 3], film: `reel-${number}` },
});
const image = (number) => ({
  function: {
    source: `export async function resize(width, ms) {
  await new Promise((done) => setTimeout(done, ms));
  ${Math.random() < 0.03 ? 'throw new Error("no such image")' : "return width"} }`,
    export: "resize",
    args: [320, Math.round(between(900, 4_000))],
  },
  labels: { tenant: `t${number % 5}` },
});
const report = (number) => ({
  command: ["sh", "report.sh", "--week", String(30 + (number % 18))],
  files: { "report.sh": { text: `sleep ${between(4, 13).toFixed(1)}` } },
  labels: { team: ["sales", "support"][number % 2] },
  deadlineMs: 12_500,
});

const browser = await chromium.launch({
  executablePath: "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
const page = await browser.newPage({ viewport: { width: 1_480, height: 1_230 } });
await page.goto(url, { timeout: 90_000 });
ends = Date.now() + CALLS_MS;
const several = (count, pool, specOf) =>
  Array.from({ length: count }, (_, caller) => keepCalling(pool, caller, specOf));
const calling = [
  ...several(13, "films", film),
  ...several(4, "images", image),
  ...several(7, "reports", report),
];
await page.waitForTimeout(Math.max(5_000, CALLS_MS - 10_000));
await page.screenshot({ path: PICTURE });
console.log(`wrote ${PICTURE}`);
await browser.close();
await Promise.all([...calling, ...members.map((member) => member.stop())]);
process.exit();
