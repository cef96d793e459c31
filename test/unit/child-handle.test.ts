/** A handle on a child whose member does not answer. */
import { expect, onTestFinished, test } from "vitest";
import { DistributedPool } from "../../sdk/typescript/node.ts";

/** Nothing listens on the port 1, which is reserved. */
const AWAY = "http://127.0.0.1:1";
const ID = `m1.${"0".repeat(32)}`;

test("every request rejects with a PoolError", async () => {
  const pools = new DistributedPool({ url: AWAY });
  onTestFinished(() => pools.close());
  const child = pools.child(ID);
  const asked = [child.exit, child.file("out.png"), child.info(), child.stop(), child.write("x")];
  for (const answer of await Promise.allSettled(asked))
    expect(answer).toMatchObject({ reason: { name: "MemberLostError", code: "member_lost" } });
});

test("a reader that leaves gets its own reason", async () => {
  const pools = new DistributedPool({ url: AWAY });
  onTestFinished(() => pools.close());
  const reason = new Error("enough");
  const events = pools.child(ID).events({ signal: AbortSignal.abort(reason) });
  await expect(events.next()).rejects.toBe(reason);
});
