/** A page in Chromium that calls, streams and stops by the SDK. */
import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { chromium } from "playwright-core";
import { expect, onTestFinished, test } from "vitest";
import { startOne, within } from "../helpers/member.ts";
import { whereIs } from "../helpers/programs.ts";
import { FOUND } from "../helpers/sdk-package.ts";

const at = (path: string) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const executablePath = whereIs("chromium");
const missing = executablePath ? undefined : "chromium is not on PATH";

/** The script of the page: the built SDK, and the fixture that uses it. */
async function script(): Promise<Uint8Array> {
  const { outputFiles } = await build({
    stdin: {
      contents: `import { use } from "./test/fixtures/sdk/use.mjs"; globalThis.use = use;`,
      resolveDir: at("."),
    },
    alias: { "@distributed-pool/sdk": at("sdk/typescript/dist/index.js") },
    bundle: true,
    platform: "browser",
    format: "esm",
    write: false,
  });
  return outputFiles[0]?.contents ?? new Uint8Array();
}

/** Serves the page, and passes what is below `/api` on to a member, as an operator's proxy does. */
async function serve(member: string): Promise<string> {
  const page = await script();
  const server = createServer((incoming, outgoing) => {
    const path = incoming.url ?? "";
    if (path === "/page.js")
      return void outgoing.setHeader("content-type", "text/javascript").end(page);
    if (!path.startsWith("/api/"))
      return void outgoing
        .setHeader("content-type", "text/html")
        .end('<!doctype html><script type="module" src="/page.js"></script>');
    const headers = Object.entries(incoming.headers).filter(
      ([name]) => !/^(host|origin|referer|sec-)/.test(name),
    );
    const { method } = incoming;
    const passed = request(
      `${member}${path.slice(4)}`,
      { method, headers: Object.fromEntries(headers) },
      (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(outgoing);
      },
    );
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close().closeAllConnections());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test.skipIf(missing)(
  `a page in Chromium calls, streams and stops${missing ? ` (skipped: ${missing})` : ""}`,
  async () => {
    const member = await startOne();
    const origin = await serve(member.url);
    const browser = await within(
      "Chromium to start",
      chromium.launch({ executablePath: executablePath ?? "", args: ["--no-sandbox"] }),
    );
    onTestFinished(() => browser.close());
    const page = await browser.newPage();
    const errors: string[] = [];
    page.on("pageerror", (error) => errors.push(error.message));
    await within("the page", page.goto(origin));
    const found = await within(
      "the page's calls",
      page.evaluate(
        (url) => (globalThis as unknown as { use(url: string): Promise<object> }).use(url),
        `${origin}/api`,
      ),
    );
    expect(errors).toEqual([]);
    expect(found).toEqual(FOUND);
  },
);
