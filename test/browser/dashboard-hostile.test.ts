/** What children and callers write is shown harmlessly; people with any sight can read the page. */
import { createRequire } from "node:module";
import type { Page } from "playwright-core";
import { expect, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { browserMissing, drawerOf, openPools, rowOf, useBrowser } from "../helpers/dashboard.ts";
import { post, startOne } from "../helpers/member.ts";

const newPage = useBrowser();
const chromiumTest = test.skipIf(browserMissing);
const MARKUP = `<img src=x onerror="alert(1)"><script>alert(2)</script>`;
const RIGHT_TO_LEFT = "\u202egnp.\u2066exe";

async function place(url: string, spec: object): Promise<ChildInfo> {
  return (await (await post(url, "/pools/pipeline/children", spec)).json()) as ChildInfo;
}

chromiumTest("markup, marks of direction and escapes in output, labels and names", async () => {
  const { url } = await startOne({ pools: { pipeline: 2 } });
  const page = await newPage();
  await openPools(page, url);
  const lines = [
    MARKUP,
    `\u001b[31mred\u001b[0m \u001b[38;2;1;2;3mdark\u001b[0m`,
    `\u001b]8;;javascript:alert(3)\u0007link\u001b]8;;\u0007 \u001b]0;title\u001b\\`,
    `\u001b[2J\u001b[1;1Hhome \u001bc\u009b2J`,
    RIGHT_TO_LEFT,
    "first\rsecond",
  ];
  const child = await place(url, {
    command: ["printf", "%s\\n", ...lines],
    labels: { [MARKUP.slice(0, 60)]: RIGHT_TO_LEFT },
  });
  const row = rowOf(page, child.id);
  await row.getByText("⟨U+202E⟩gnp.⟨U+2066⟩exe").first().waitFor();
  await row.getByText("<img src=x").first().waitFor();
  await row.click();
  const screen = drawerOf(page).getByRole("region", { name: "Output" });
  await screen.getByText(MARKUP, { exact: true }).waitFor();
  await screen.locator(".front-1", { hasText: "red" }).waitFor();
  await screen.getByText("⟨U+202E⟩gnp.⟨U+2066⟩exe").waitFor();
  const shown = await screen.locator(".line").allTextContents();
  expect(shown).toEqual([
    MARKUP,
    "red dark",
    "link ",
    "home ",
    "⟨U+202E⟩gnp.⟨U+2066⟩exe",
    "second",
  ]);
  expect(await page.locator("main img[src=x], aside img[src=x], script:not([src])").count()).toBe(
    1,
  );
  expect(await page.title()).toBe("distributed-pool");
});

chromiumTest("a line of 1 MB, and a bomb of escapes", async () => {
  const { url } = await startOne();
  const page = await newPage();
  await openPools(page, url);
  // A member keeps the last 1 MiB of a child's output. These lines are fewer bytes.
  const script = `
    const text = "x".repeat(1_000_000) + "\\n"
      + "\\u001b]".repeat(10_000) + "\\n"
      + "\\u001b[1;31m\\u001b[4m.".repeat(1_000) + "\\n"
      + "\\u001b[" + "1;".repeat(5_000) + "\\nthe end\\n";
    return new Promise((resolve) => process.stdout.write(text, resolve));`;
  const source = `() => {${script}}`;
  const child = await place(url, { function: { source } });
  await rowOf(page, child.id).click();
  const screen = drawerOf(page).getByRole("region", { name: "Output" });
  await screen.getByText("the end", { exact: true }).waitFor();
  await drawerOf(page).getByText("ended · 5 lines").waitFor();
  // A line shows its first 4,096 characters, in 200 spans at most, and counts the rest.
  expect(await screen.locator(".line").allTextContents()).toEqual([
    `${"x".repeat(4_096)} … 995,904 more characters`,
    `${"]".repeat(4_096)} … 5,904 more characters`,
    `${".".repeat(200)} … 800 more characters`,
    `[${"1;".repeat(2_047)}1 … 5,905 more characters`,
    "the end",
  ]);
});

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");

interface Axe {
  run(options: object): Promise<{ violations: { id: string; nodes: { html: string }[] }[] }>;
}

/** The violations of WCAG 2.2 AA. The tool comes in past the policy of the page. */
async function violations(page: Page): Promise<string[]> {
  await page.addScriptTag({ path: AXE });
  return page.evaluate(async () => {
    const { axe } = globalThis as unknown as { axe: Axe };
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];
    const { violations } = await axe.run({ runOnly: { type: "tag", values: tags } });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join("\n")}`);
  });
}

for (const colorScheme of ["light", "dark"] as const)
  chromiumTest(`in ${colorScheme} colours axe finds nothing against WCAG AA`, async () => {
    const { url } = await startOne({ pools: { pipeline: 3 } });
    const page = await newPage({ colorScheme, bypassCSP: true, reducedMotion: "reduce" });
    const print = "printf '\\033[31mred\\033[0m\\n'; echo problem >&2; echo 3/10 >&3; sleep 60";
    const child = await place(url, { command: ["sh", "-c", print], labels: { job: "nightly" } });
    await place(url, { command: ["false"] });
    await place(url, { function: { source: "() => { throw new Error('no') }" } });
    await openPools(page, url);
    await page.getByText("function_threw", { exact: true }).first().waitFor();
    await page.locator(".chart").first().waitFor();
    expect(await violations(page)).toEqual([]);
    await rowOf(page, child.id).click();
    await drawerOf(page).getByText("problem", { exact: true }).waitFor();
    expect(await violations(page)).toEqual([]);
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Try it" }).click();
    expect(await violations(page)).toEqual([]);
  });
