/** The dashboard in Debian's Chromium. */
import { type Browser, type BrowserContextOptions, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished } from "vitest";
import { within } from "./member.ts";
import { whereIs } from "./programs.ts";

const executablePath = whereIs("chromium");
/** Why there is no browser; undefined where there is one. */
export const browserMissing = executablePath ? undefined : "chromium is not on PATH";

const WAIT_MS = 20_000;

/** One browser for the tests of a file. The function opens a page, and expects no error of it. */
export function useBrowser() {
  let browser: Browser | undefined;
  beforeAll(async () => {
    if (executablePath)
      browser = await within(
        "Chromium to start",
        chromium.launch({ executablePath, args: ["--no-sandbox"] }),
      );
  });
  afterAll(() => browser?.close());
  return async (options: BrowserContextOptions = {}): Promise<Page> => {
    const context = await (browser as Browser).newContext(options);
    const page = await context.newPage();
    page.setDefaultTimeout(WAIT_MS);
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(String(error.stack)));
    page.on("console", (message) => {
      // The policy of the page reports what it refuses here; so do answers of 400 and above.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource"))
        errors.push(message.text());
    });
    page.on("dialog", (dialog) => {
      errors.push(`a dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    onTestFinished(async () => {
      await context.close();
      expect(errors).toEqual([]);
    });
    return page;
  };
}

/** Opens the page of a member, and waits until it shows the pools. */
export async function openPools(page: Page, url: string): Promise<void> {
  await page.goto(url);
  await page.locator(".pool").first().waitFor();
}

/** The row of a child in the table. */
export const rowOf = (page: Page, id: string) => page.locator(`[id="row-${id}"]`);
export const drawerOf = (page: Page) => page.getByRole("dialog");
