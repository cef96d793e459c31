/** The dashboard with tokens, and when members go. */
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { ChildInfo } from "../../openapi/schemas/state/children.ts";
import { newToken } from "../../server/access/tokens.ts";
import { EmbeddedRegistry, startMember } from "../../server/main.ts";
import { browserMissing, drawerOf, openPools, rowOf, useBrowser } from "../helpers/dashboard.ts";
import { post, startMembers, startOne } from "../helpers/member.ts";
import { SANDBOX_OPTION } from "../helpers/sandbox.ts";

const newPage = useBrowser();
const chromiumTest = test.skipIf(browserMissing);
const WATCHER = newToken("watcher", ["observe"], ["*"]);
const CALLER = newToken("caller", ["call"], ["pipeline"]);
const ADMIN = newToken("boss", ["admin"], ["*"]);

async function tokenFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "dpool-dashboard-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, "tokens");
  const lines = [WATCHER, CALLER, ADMIN].map(({ line }) => `${line}\n`).join("");
  await writeFile(file, lines, { mode: 0o600 });
  return file;
}

const bearer = ({ token }: typeof ADMIN) => ({ authorization: `Bearer ${token}` });

chromiumTest("a token signs in, sees or acts by its scopes, and may be revoked", async () => {
  const file = await tokenFile();
  const [m1, m2] = await startMembers({ tokenFile: file }, { tokenFile: file });
  const url = m1?.url ?? "";
  const spec = { command: ["sh", "-c", "echo seen; sleep 60"] };
  const placed = await post(url, "/pools/pipeline/children", spec, bearer(CALLER));
  const { id } = (await placed.json()) as ChildInfo;
  const page = await newPage();
  await page.goto(url);
  const signIn = async (token: string) => {
    await page.getByLabel("Token").fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
  };
  await signIn("wrong");
  await page.getByText("This token is not known here.").waitFor();

  await signIn(WATCHER.token);
  await rowOf(page, id).click();
  await drawerOf(page).getByText("seen", { exact: true }).waitFor();
  const stop = drawerOf(page).getByRole("button", { name: /^Stop/ });
  expect(await stop.getAttribute("aria-disabled")).toBe("true");
  expect(await stop.getAttribute("title")).toContain("it needs the scope call or admin");
  const drain = page.getByRole("button", { name: "Drain m2" }).first();
  expect(await drain.getAttribute("aria-disabled")).toBe("true");
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Sign out" }).click();

  await signIn(CALLER.token);
  await rowOf(page, id).waitFor();
  await page.getByText(/The charts are not shown: .*observe/).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();

  await signIn(ADMIN.token);
  await page.getByRole("button", { name: "Drain m2" }).first().click();
  await page.getByRole("button", { name: "Drain m2", exact: true }).last().click();
  await m2?.stopped;
  await page.getByRole("button", { name: "Drain m2" }).waitFor({ state: "detached" });

  // Nothing but the caller's token is left.
  await writeFile(`${file}.new`, `${CALLER.line}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
  await page.getByText("The token is no longer known here.").waitFor();
  await signIn(CALLER.token);
  await rowOf(page, id).waitFor();
  expect(await page.evaluate(() => sessionStorage.length)).toBe(1);
});

chromiumTest("the reference page asks for a token", async () => {
  const { url } = await startOne({ tokenFile: await tokenFile() });
  const page = await newPage();
  // The page takes seconds to draw the whole contract. One operation will do.
  await page.route("**/openapi.json", async (route) => {
    const contract = await (await route.fetch()).json();
    const { "/caller": caller } = contract.paths;
    await route.fulfill({ json: { ...contract, paths: { "/caller": caller } } });
  });
  await page.goto(`${url}/docs`);
  await page.getByText("Available authorizations").waitFor();
});

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** A place for a member whose network fails and comes back. */
async function breakable() {
  const sockets = new Set<Socket>();
  const state = { isBroken: false, port: 0 };
  const server = createServer((client) => {
    if (state.isBroken) return void client.destroy();
    const upstream = connect(state.port, "127.0.0.1");
    for (const [socket, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {}).on("close", () => other.destroy());
      socket.pipe(other);
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return {
    advertise: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    leadTo: (port: number) => {
      state.port = port;
    },
    set: (isBroken: boolean) => {
      state.isBroken = isBroken;
      if (isBroken) for (const socket of sockets) socket.destroy();
    },
  };
}

chromiumTest("a member is lost, and returns", async () => {
  const network = await breakable();
  const { advertise } = network;
  const registry = new EmbeddedRegistry();
  const [m1] = await startMembers({ registry });
  const port = await freePort();
  network.leadTo(port);
  const options = {
    pools: { pipeline: 2 },
    sandbox: SANDBOX_OPTION,
    drainMs: 0,
    registry,
  } as const;
  const m2 = await startMember({ ...options, name: "m2", port, advertise });
  onTestFinished(() => m2.stop());
  const page = await newPage();
  await openPools(page, m1?.url ?? "");
  await page.getByText("0 of 4 slots").waitFor();
  network.set(true);
  await page.locator(".member.is-lost", { hasText: "m2" }).waitFor();
  await page.getByText("0 of 2 slots").waitFor();
  network.set(false);
  await page.getByText("0 of 4 slots").waitFor();
});

chromiumTest("the page continues at another member when its own one is gone", async () => {
  const [m1, m2] = await startMembers({}, {});
  const page = await newPage();
  await openPools(page, m1?.url ?? "");
  await page.getByText("0 of 4 slots").waitFor();
  const arrived = page.waitForURL(`${m2?.url}/**`);
  await m1?.stop();
  await arrived;
  await page.getByText("0 of 2 slots").waitFor();
});
