/** The dashboard shows what runs on real members, and acts on it. */
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { browserMissing, drawerOf, openPools, rowOf, useBrowser } from "../helpers/dashboard.ts";
import { post, startMembers, startOne, until } from "../helpers/member.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const newPage = useBrowser();
const chromiumTest = test.skipIf(browserMissing);

async function place(url: string, spec: object, pool = "pipeline"): Promise<ChildInfo> {
  return (await (await post(url, `/pools/${pool}/children`, spec)).json()) as ChildInfo;
}

chromiumTest("the pools, and a child from its start over its output to its stop", async () => {
  const [m1] = await startMembers({ pools: { pipeline: 3 } }, { pools: { pipeline: 2, gpu: 1 } });
  const url = m1?.url ?? "";
  const page = await newPage();
  await openPools(page, url);
  const pool = page.getByRole("region", { name: "Pool pipeline" });
  await pool.getByText("0 of 5 slots").waitFor();
  await pool.getByRole("img", { name: "m2: 0 of 2 slots taken" }).waitFor();
  const script = "echo hello; read line; echo got $line; sleep 60";
  const child = await place(url, { command: ["sh", "-c", script], labels: { job: "nightly" } });
  await pool.getByText("1 of 5 slots").waitFor();
  await rowOf(page, child.id).click();
  const drawer = drawerOf(page);
  await drawer.getByText("hello", { exact: true }).waitFor();
  await drawer.getByLabel("A line for the child's input").fill("a line");
  await drawer.getByRole("button", { name: "Send" }).click();
  await drawer.getByText("got a line").waitFor();
  await drawer.getByLabel("Search in the output").fill("GOT");
  await drawer.getByText("1 of 1").waitFor();
  await drawer.getByLabel("Grace", { exact: true }).selectOption("no grace");
  await drawer.getByRole("button", { name: "Stop" }).click();
  await drawer.locator(".ending").getByText("cancelled").waitFor();
  await pool.getByText("0 of 5 slots").waitFor();
  expect(page.url()).toContain(`#child=${child.id}`);
  await page.keyboard.press("Escape");
  await drawer.waitFor({ state: "detached" });
  await rowOf(page, child.id).getByText("cancelled").waitFor();
});

chromiumTest("filters by status, text, label and pool; the keyboard opens a row", async () => {
  const { url } = await startOne({ pools: { pipeline: 4, other: 1 } });
  const page = await newPage();
  const sleeper = await place(url, { command: ["sleep", "61"], labels: { job: "nightly" } });
  const ended = await place(url, { command: ["false"], labels: { job: "daily" } });
  const elsewhere = await place(url, { command: ["sleep", "62"] }, "other");
  await openPools(page, url);
  await rowOf(page, ended.id).getByText("exit 1").waitFor();
  const all = [sleeper, ended, elsewhere];
  const shows = async (...children: ChildInfo[]) => {
    for (const { id } of all)
      await rowOf(page, id).waitFor({
        state: children.some((child) => child.id === id) ? "visible" : "detached",
      });
  };
  await shows(...all);
  await page.getByRole("button", { name: "Running" }).click();
  await shows(sleeper, elsewhere);
  await page.getByLabel("Pool", { exact: true }).selectOption("other");
  await shows(elsewhere);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Label", { exact: true }).fill("job=nightly");
  await shows(sleeper);
  await page.getByRole("button", { name: "Clear" }).click();
  await page.getByLabel("Text", { exact: true }).fill("sleep 6");
  await shows(sleeper, elsewhere);
  await page.getByRole("grid").focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await drawerOf(page)
    .getByText(/^sleep 6[12]$/)
    .waitFor();
});

chromiumTest("live output goes on over cuts, without a line lost or repeated", async () => {
  const { url } = await startOne();
  const proxy = await cuttingProxy(url, () => undefined);
  const page = await newPage();
  await openPools(page, proxy.url);
  const print = "for n in $(seq 30); do echo line-$n; sleep 0.05; done";
  const child = await place(url, { command: ["sh", "-c", print] });
  await rowOf(page, child.id).click();
  await drawerOf(page).getByText("line-3", { exact: true }).waitFor();
  proxy.cut();
  await drawerOf(page).locator(".ending").waitFor();
  await drawerOf(page)
    .getByText(/ended · 30 lines/)
    .waitFor();
  await drawerOf(page).getByText("line-30", { exact: true }).waitFor();
});

chromiumTest("Try it streams a command, and shows the value of a function", async () => {
  const { url } = await startOne();
  const page = await newPage({ viewport: { width: 360, height: 780 } });
  await openPools(page, url);
  await page.getByRole("button", { name: "Try it" }).click();
  const drawer = drawerOf(page);
  await drawer.getByLabel("Command", { exact: true }).fill("sh -c 'echo \"a  b\"; exit 3'");
  await drawer.getByRole("button", { name: "Run" }).click();
  await drawer.getByText("a  b", { exact: true }).waitFor();
  await drawer.locator(".ending").getByText("3").waitFor();
  await drawer.getByRole("button", { name: "function" }).click();
  await drawer.getByRole("button", { name: "Run" }).click();
  await drawer.locator(".ending").getByText("1212").waitFor();
  await drawer.getByRole("button", { name: "Python" }).click();
  expect(await drawer.getByLabel("Snippet").textContent()).toContain(`pool.call("pipeline", {`);
  // A phone scrolls in one direction only.
  expect(await page.evaluate("document.documentElement.scrollWidth")).toBe(360);
});

chromiumTest("artifacts can be saved", async () => {
  const { url } = await startOne();
  const page = await newPage();
  await openPools(page, url);
  const child = await place(url, {
    command: ["sh", "-c", "printf film > out.txt"],
    artifacts: ["*.txt"],
  });
  await rowOf(page, child.id).click();
  const saving = page.waitForEvent("download");
  await drawerOf(page).getByRole("button", { name: "Save out.txt" }).click();
  expect((await saving).suggestedFilename()).toBe("out.txt");
});

/** A feed of many members and children: so many real ones would take the machine minutes. */
async function scripted(page: Page, members: number, children: number): Promise<void> {
  const at = (number: number) => `host${number % members}`;
  const events: object[] = [{ type: "reset" }];
  for (let number = 0; number < members; number++) {
    const member = at(number);
    const facts = { url: "http://127.0.0.1:9", version: "0.2.0", sandbox: "full", state: "up" };
    events.push({ type: "member", member, ...facts, pools: { pipeline: 10 } });
  }
  for (let number = 0; number < children; number++) {
    const id = `${at(number)}.${number.toString(16).padStart(32, "0")}`;
    const startedAt = new Date(1_800_000_000_000 + number).toISOString();
    const placed = { id, pool: "pipeline", member: at(number), url: "", owner: "ci" };
    const state = { status: "running", kind: "command", startedAt, deadlineAt: null };
    const ending = { endedAt: null, exitCode: null, code: null, sandbox: "full" };
    const child = { ...placed, ...state, ...ending, labels: {}, name: "work", command: ["work"] };
    child.command.push(`n${number}`);
    events.push({ type: "child", change: "placed", child });
  }
  events.push({ type: "synced" });
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
  let asked = 0;
  await page.route("**/events", async (route) => {
    if (asked++ === 0) await route.fulfill({ contentType: "text/event-stream", body });
  });
}

chromiumTest("10,000 children and 1,000 members stay usable", async () => {
  const { url } = await startOne();
  const page = await newPage();
  await scripted(page, 1_000, 10_000);
  await openPools(page, url);
  const grid = page.getByRole("grid");
  await until("all rows", async () => (await grid.getAttribute("aria-rowcount")) === "10001");
  expect(await page.locator(".rows .virtual-row").count()).toBeLessThan(60);
  expect(await page.locator(".members .virtual-row").count()).toBeLessThan(60);
  await grid.focus();
  await page.keyboard.press("End");
  await page.getByText("work n0", { exact: true }).waitFor();
  await page.getByLabel("Text", { exact: true }).fill("n4242");
  await page.getByText("work n4242", { exact: true }).waitFor();
  await until("one row", async () => (await grid.getAttribute("aria-rowcount")) === "2");
});
