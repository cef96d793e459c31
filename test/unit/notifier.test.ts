/** What a member keeps of an ending while its notification waits. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { onTestFinished, test } from "vitest";
import type { TerminalEvent } from "../../openapi/events.ts";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { Notifier } from "../../server/supervisor/notify/notifier.ts";
import { fetchRulesOf, UrlRuleSchema } from "../../server/workspace/fetching/fetch-rules.ts";
import { until } from "../helpers/member.ts";

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

test("an ending is not held while its notification waits", async () => {
  const url = "http://slow.example/ended";
  const rules = fetchRulesOf({ fetch: [UrlRuleSchema.parse(url)], fetchAddresses: [] });
  const notifier = new Notifier({
    secret: Buffer.alloc(32),
    log: () => {},
    resolve: () => new Promise(() => {}),
  });
  onTestFinished(() => notifier.close());
  const tell = () => {
    const usage = { wallMs: 1, cpuMs: null, maxRssBytes: null };
    const terminal: TerminalEvent = { type: "result", value: ["large"], usage, artifacts: [] };
    const info = { id: "m1.1", endedAt: "2026-01-01T00:00:00.000Z" } as ChildInfo;
    notifier.tell({ info, log: { terminal } }, { url }, rules);
    return new WeakRef(terminal);
  };
  const ending = tell();
  await until("the ending to be collected", () => {
    collectGarbage();
    return ending.deref() === undefined;
  });
});
