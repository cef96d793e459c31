/** A start that fails leaves nothing open. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { EmbeddedRegistry, startMember } from "../../server/main.ts";
import { within } from "../helpers/member.ts";

class BrokenRegistry extends EmbeddedRegistry {
  override membership(): never {
    throw new Error("no membership");
  }
}

test("the port is closed again if the member fails after it listens", async () => {
  const free = createServer();
  await once(free.listen(0, "127.0.0.1"), "listening");
  const { port } = free.address() as AddressInfo;
  await once(free.close(), "close");
  const registry = new BrokenRegistry();
  const options = { pools: { pipeline: 1 }, port, sandbox: "off", registry } as const;
  await expect(startMember(options)).rejects.toThrow("no membership");
  const refused = within("the refusal", once(connect(port, "127.0.0.1"), "connect"));
  await expect(refused).rejects.toMatchObject({ code: "ECONNREFUSED" });
});
