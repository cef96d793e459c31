/** A name belongs to one member: a second one is refused, a successor of a dead one is not. */
import { describe, expect, onTestFinished, test } from "vitest";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { startServe } from "../helpers/processes.ts";

async function open() {
  const consul = await startConsul();
  onTestFinished(() => consul.stop());
  const start = async (member = "m1") => {
    const started = await startServe({
      member,
      consul: consul.httpAddress,
      args: ["--sandbox", "off"],
    });
    onTestFinished(() => started.end());
    return started;
  };
  const addresses = async () =>
    (
      await consul.ask<{ Service: { Port: number; Meta: { member: string } } }[]>(
        "/v1/health/service/distributed-pool?passing",
      )
    ).map(({ Service }) => Service.Port);
  return { start, addresses };
}

const portOf = ({ url }: { url: string }) => Number(new URL(url).port);

describe.skipIf(consulMissing)("a member's name", { timeout: 120_000 }, () => {
  test("that a live member has is refused, and the first member stays", async () => {
    const { start, addresses } = await open();
    const first = await start();
    await expect(start()).rejects.toThrow(`m1 is the member at ${first.url}`);
    expect(await addresses()).toEqual([portOf(first)]);
  });

  test("that a stopped member has is refused", async () => {
    const { start } = await open();
    const first = await start();
    first.kill("SIGSTOP");
    await expect(start()).rejects.toThrow("expected a member name that no other member has");
  });

  test("passes at once to a successor of a killed member, at another port", async () => {
    const { start, addresses } = await open();
    const first = await start();
    await first.end();
    const second = await start();
    expect(await addresses()).toEqual([portOf(second)]);
  });

  test("goes to one of two members that start at once", async () => {
    const { start, addresses } = await open();
    const both = await Promise.allSettled([start(), start()]);
    const started = both.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
    expect(started).toHaveLength(1);
    expect(await addresses()).toEqual(started.map(portOf));
  });
});
