/**
 * Clients in the manner of `EventSource`, by several authors, whose connections are cut: they ask
 * again with `Last-Event-ID`. No second child runs, and no event is lost.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { fetchEventSource } from "@microsoft/fetch-event-source";
import { EventSource } from "eventsource";
import { chromium } from "playwright-core";
import { SSE } from "sse.js";
import { expect, onTestFinished, test, vi } from "vitest";
import type { PoolEvent } from "../../openapi/events.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { getJson, post, problemOf, startMembers, within } from "../helpers/member.ts";
import { whereIs } from "../helpers/programs.ts";
import { cuttingProxy } from "../helpers/proxy.ts";

const run = promisify(execFile);
const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const PYTHON = at("../../.tools/python/bin/python");
const python = existsSync(PYTHON);
const chrome = whereIs("chromium");

// fetch-event-source is made for pages, and looks whether its own is visible.
Object.assign(globalThis, {
  document: Object.assign(new EventTarget(), { hidden: false }),
  window: globalThis,
});

const LINES = 20;
const LINE = "x".repeat(100);
/** More than a connection brings. */
const PRINTS = ["sh", "-c", `for n in $(seq ${LINES}); do echo $n ${LINE}; sleep 0.02; done`];
const EXPECTED = Array.from({ length: LINES }, (_, n) => `${n + 1} ${LINE}\n`).join("");
const JSON_BODY = { "content-type": "application/json" };
const NAMES = ["placed", "stdout", "stderr", "result", "failed"] as const;

/** A gateway in front of the member that has the pool. Its first stream is cut. */
async function behindCuts(cutAfter = 1_500, first = 0) {
  let requests = 0;
  const [gateway] = await startMembers({ pools: { other: 1 } }, {});
  const url = gateway?.url ?? "";
  const proxy = await cuttingProxy(url, () => (requests++ === first ? cutAfter : undefined));
  const children = async () =>
    (await getJson<{ children: ChildInfo[] }>(`${url}/pools/pipeline/children`)).children;
  return { url, proxy, call: `${proxy.url}/pools/pipeline/call`, children };
}

/** Collects events until the terminal one, and gives the output. */
function collector() {
  const { promise, resolve } = Promise.withResolvers<string>();
  let text = "";
  const take = (data: string) => {
    const event = JSON.parse(data) as PoolEvent;
    if (event.type === "stdout") text += event.text;
    if (event.type === "result" || event.type === "failed") resolve(text);
  };
  return { take, output: within("the terminal event", promise, 30_000) };
}

const spec = (key?: string) => ({ command: PRINTS, ...(key && { idempotencyKey: key }) });

test("@microsoft/fetch-event-source posts again, and continues", async () => {
  const { call, proxy, children } = await behindCuts();
  const { take, output } = collector();
  const leaving = new AbortController();
  const reading = fetchEventSource(call, {
    method: "POST",
    headers: { ...JSON_BODY, "idempotency-key": "ms" },
    body: JSON.stringify(spec()),
    signal: leaving.signal,
    openWhenHidden: true,
    fetch: globalThis.fetch,
    onmessage: ({ data }) => data && take(data),
    onerror: () => 10,
  });
  const text = await output;
  // The library notes an id before the data behind it: it misses the event that the cut falls into.
  const lines = text.trimEnd().split("\n");
  expect(lines).toEqual(EXPECTED.split("\n").filter((line) => lines.includes(line)));
  leaving.abort();
  await reading;
  expect(proxy.requests("POST")).toBeGreaterThan(1);
  expect(await children()).toHaveLength(1);
});

test("eventsource posts again by its own fetch, continues, and stops behind the end", async () => {
  const { call, proxy, children } = await behindCuts();
  const { take, output } = collector();
  const statuses: number[] = [];
  const source = new EventSource(call, {
    fetch: async (url, init) => {
      const headers = { ...init?.headers, ...JSON_BODY };
      const body = JSON.stringify(spec("es"));
      const answer = await fetch(url, { ...init, method: "POST", headers, body } as RequestInit);
      statuses.push(answer.status);
      return answer;
    },
  });
  onTestFinished(() => source.close());
  for (const name of NAMES) source.addEventListener(name, ({ data }) => take(data as string));
  expect(await output).toBe(EXPECTED);
  await vi.waitUntil(() => source.readyState === source.CLOSED, 20_000);
  expect(statuses.at(-1)).toBe(204);
  expect(proxy.requests("POST")).toBeGreaterThan(1);
  expect(await children()).toHaveLength(1);
});

test("sse.js without a key posts again, is refused, and no second child runs", async () => {
  const { call, proxy, children } = await behindCuts();
  const events = new EventTarget();
  class Request extends EventTarget {
    // sse.js asks by XMLHttpRequest, of which it uses this much.
    readonly headers: Record<string, string> = {};
    status = 0;
    responseText = "";
    open(_method: string, _url: string) {}
    setRequestHeader(name: string, value: string) {
      this.headers[name] = value;
    }
    getAllResponseHeaders() {
      return "";
    }
    abort() {}
    async send(body: string) {
      try {
        const answer = await fetch(call, { method: "POST", headers: this.headers, body });
        this.status = answer.status;
        events.dispatchEvent(new CustomEvent("answer", { detail: answer.status }));
        for await (const chunk of (answer.body ?? new ReadableStream()).pipeThrough(
          new TextDecoderStream(),
        )) {
          this.responseText += chunk;
          this.dispatchEvent(new Event("progress"));
        }
        this.dispatchEvent(new Event("load"));
      } catch {
        this.dispatchEvent(new Event("error"));
      }
    }
  }
  vi.stubGlobal("XMLHttpRequest", Request);
  onTestFinished(() => void vi.unstubAllGlobals());
  const statuses: number[] = [];
  events.addEventListener("answer", (event) => statuses.push((event as CustomEvent).detail));
  const source = new SSE(call, {
    headers: JSON_BODY,
    method: "POST",
    payload: JSON.stringify(spec()),
    autoReconnect: true,
    reconnectDelay: 20,
    maxRetries: 3,
    useLastEventId: true,
    start: false,
  });
  onTestFinished(() => source.close());
  source.stream();
  await vi.waitUntil(() => statuses.length > 1, 20_000);
  expect(statuses[0]).toBe(200);
  expect(new Set(statuses.slice(1))).toEqual(new Set([400]));
  expect(proxy.requests("POST")).toBeGreaterThan(1);
  expect(await children()).toHaveLength(1);
});

for (const library of ["httpx-sse", "sseclient-py"])
  test.skipIf(!python)(`${library} posts again, and continues`, async () => {
    const { call, proxy, children } = await behindCuts();
    const script = at("readers/events.py");
    const args = [script, library, call, JSON.stringify(spec(library))];
    const { stdout } = await within("its output", run(PYTHON, args), 30_000);
    expect(JSON.parse(stdout)).toBe(EXPECTED);
    expect(proxy.requests("POST")).toBeGreaterThan(1);
    expect(await children()).toHaveLength(1);
  });

test.skipIf(!chrome)("Chromium's EventSource resumes a child's events, and stops", async () => {
  // The page comes first.
  const { url, proxy } = await behindCuts(1_500, 1);
  const { id } = (await (await post(url, "/pools/pipeline/children", spec())).json()) as ChildInfo;
  const browser = await within(
    "Chromium to start",
    chromium.launch({ executablePath: chrome ?? "", args: ["--no-sandbox"] }),
  );
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.route("**/favicon.ico", (route) => route.abort());
  await page.goto(`${proxy.url}/livez`);
  const read = page.evaluate(
    ([path, names]) =>
      new Promise<string>((resolve) => {
        let text = "";
        const source = new globalThis.EventSource(path);
        source.onerror = () => source.readyState === 2 && resolve(text);
        for (const name of names)
          source.addEventListener(name, (event) => {
            const { data } = event as Event & { readonly data: string };
            const told = JSON.parse(data);
            if (told.type === "stdout") text += told.text;
          });
      }),
    [`/children/${id}/events`, NAMES] as const,
  );
  expect(await within("the end of the events", read, 60_000)).toBe(EXPECTED);
  expect(proxy.cuts).toBeGreaterThan(0);
});

test("a start with Last-Event-ID starts nothing, whatever its form", async () => {
  const { url, children } = await behindCuts(Number.POSITIVE_INFINITY);
  const last = { "last-event-id": "2" };
  const json = { ...last, accept: "application/json" };
  const work = { command: ["true"] };
  for (const [path, body, headers] of [
    ["/pools/pipeline/call", work, last],
    ["/pools/pipeline/run", work, last],
    ["/pools/pipeline/call", { ...work, idempotencyKey: "json" }, json],
    ["/pools/pipeline/children", { ...work, idempotencyKey: "placed" }, last],
    ["/call", { ...work, pool: "other" }, last],
    ["/run", { ...work, pool: "other" }, last],
    ["/children", { ...work, pool: "other" }, last],
  ] as const) {
    const problem = await problemOf(await post(url, path, body, headers));
    expect(problem).toMatchObject({ code: "invalid_request", status: 400 });
    expect(problem.detail).toContain("GET /children/{id}/events");
  }
  for (const [path, body] of [
    ["/pools/pipeline/call", { ...work, idempotencyKey: "none" }],
    ["/call", { ...work, pool: "other", idempotencyKey: "none" }],
  ] as const)
    expect(await problemOf(await post(url, path, body, last))).toMatchObject({
      code: "child_not_found",
    });
  expect(await children()).toEqual([]);
});
