/**
 * Tries the contract from outside: schemathesis makes requests that its schemas take, and requests
 * that they refuse, and compares each answer with the contract.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { newToken } from "../../server/access/tokens.ts";
import { startOne, within } from "../helpers/member.ts";

const RUN_MS = 300_000;
const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const PROGRAM = fileURLToPath(new URL("../../.tools/python/bin/schemathesis", import.meta.url));
/** The form that says of which events a stream consists. */
const DOCUMENT = fileURLToPath(new URL("../../openapi/openapi.3.2.json", import.meta.url));

/** Slots for all children of the requests, which may live until their deadline. */
const POOLS = { pipeline: 500 };
/** Calls end soon, and no request is refused for its rate. */
const OPTIONS = { deadlineMs: 2_000, maxRate: 100_000 };

async function tokenFile(): Promise<{ token: string; file: string }> {
  const folder = await mkdtemp(join(tmpdir(), "schemathesis-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  // Without the scope `admin`, a request cannot drain the member.
  const { token, line } = newToken("caller", ["call", "observe"], ["*"]);
  await writeFile(join(folder, "tokens"), `${line}\n`);
  return { token, file: join(folder, "tokens") };
}

test.skipIf(!existsSync(PROGRAM))(
  "requests are answered as the contract says",
  async () => {
    const { token, file } = await tokenFile();
    const { url } = await startOne({ pools: POOLS, tokenFile: file, ...OPTIONS });
    const config = ["--config-file", join(FOLDER, "schemathesis.toml")];
    const given = ["--url", url, "--header", `Authorization: Bearer ${token}`, "--no-color"];
    const child = spawn(PROGRAM, [...config, "run", DOCUMENT, ...given], {
      cwd: FOLDER,
      env: { ...process.env, PYTHONPATH: FOLDER, PYTHONDONTWRITEBYTECODE: "1" },
      stdio: ["ignore", "pipe", "inherit"],
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const ended = Promise.all([text(child.stdout), once(child, "exit")]);
    const [report, [code]] = await within("the end of schemathesis", ended, RUN_MS);
    expect(code, report).toBe(0);
  },
  RUN_MS + 10_000,
);
