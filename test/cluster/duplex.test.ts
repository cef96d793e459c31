/** A call whose body is its child's input, through a gateway that is killed. */
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { describe, expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { readEvents } from "../../sdk/typescript/http/read-events.ts";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { type MemberProcess, startServe } from "../helpers/processes.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";
import { eventually, within } from "../helpers/wait.ts";

const WAIT_MS = 20_000;

describe.skipIf(consulMissing !== undefined)(
  `a gateway that is killed${consulMissing ? ` (${consulMissing})` : ""}`,
  () => {
    test("stops the child whose input it relays; the child never reads an end of its input", {
      timeout: 120_000,
    }, async () => {
      const consul = await startConsul();
      onTestFinished(() => consul.stop());
      const start = async (member: string, pool: string): Promise<MemberProcess> => {
        const started = await startServe({
          member,
          pool,
          consul: consul.httpAddress,
          args: ["--sandbox", SANDBOX_OPTION],
        });
        onTestFinished(() => started.end());
        return started;
      };
      const [gateway, far] = await Promise.all([
        start("gateway", "other=1"),
        start("m1", "pipeline=1"),
      ]);
      await eventually(
        "the gateway to see the pool",
        async () => expect((await fetch(`${gateway.url}/pools/pipeline`)).status).toBe(200),
        WAIT_MS,
      );

      const sent = request(`${gateway.url}/pools/pipeline/call`, {
        method: "POST",
        headers: {
          "content-type": "application/octet-stream",
          "pool-spec": JSON.stringify({ command: ["sh", "-c", "cat; echo whole"] }),
        },
      });
      sent.on("error", () => {});
      sent.write("half");
      const [answer] = (await within(
        "the head of the answer",
        WAIT_MS,
        once(sent, "response"),
      )) as [IncomingMessage];
      answer.on("error", () => {});
      let child: ChildInfo | undefined;
      for await (const event of readEvents(answer)) {
        if (event.type === "placed") child = event.child as ChildInfo;
        if (event.type !== "stdout") continue;
        gateway.kill("SIGKILL");
        break;
      }
      const events: { type: string; text?: string | undefined; problem?: { code: string } }[] = [];
      const read = async () => {
        const attached = await fetch(`${far.url}/children/${child?.id}/events`);
        for await (const event of readEvents(attached.body as unknown as AsyncIterable<Uint8Array>))
          events.push(event);
      };
      await within("the child's end", WAIT_MS, read());
      expect(events.map(({ type, text, problem }) => text ?? problem?.code ?? type)).toEqual([
        "placed",
        "half",
        "cancelled",
      ]);
    });
  },
);
