/** The Python SDK: its types, its own tests, its page, its notebook and its example. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, onTestFinished, test } from "vitest";
import { consulMissing, startConsul } from "../helpers/consul.ts";
import { startOne } from "../helpers/member.ts";
import { type Block, readPage } from "../helpers/pages/markdown.ts";
import { hasOpenssl, Pki } from "../helpers/pki.ts";
import { onPath, pythonMissing } from "../helpers/programs.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
const SDK = join(ROOT, "sdk/python");
const PYTHON = join(ROOT, ".tools/sdk-python/bin/python");
/** 2 minutes for a program, on a busy machine. */
const PROGRAM_MS = 120_000;

const noPackages = existsSync(PYTHON)
  ? undefined
  : "no packages in .tools/sdk-python: see .dev/setup.sh";
const missing = noPackages ?? pythonMissing;
const NEEDED = { timeout: PROGRAM_MS + 30_000 };

interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs Python to its end, and returns its output. It fails with the end of both streams. */
async function python(args: readonly string[], { cwd = SDK, env }: Surroundings = {}) {
  const surroundings = { PYTHONPATH: SDK, PYTHONDONTWRITEBYTECODE: "1", ...env };
  const options = { cwd, env: { ...process.env, ...surroundings }, timeout: PROGRAM_MS };
  const running = promisify(execFile)(PYTHON, args, options);
  const { stdout } = await running.catch((error) => {
    throw new Error(`python ${args.join(" ")}: ${error.stdout}${error.stderr || error.message}`);
  });
  return stdout;
}

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "distributed-pool-python-"));
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  return path;
}

/** A member whose Python processes are used again, so that many calls take little time. */
async function member(): Promise<string> {
  const pipeline = { maxChildren: 5, reuse: true, warm: { python: 2 } };
  return (await startOne({ pools: { pipeline } })).url;
}

describe.skipIf(missing)(`the Python SDK${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("has models that are those of the contract", NEEDED, async () => {
    await python(["generate_models.py", "--check"]);
  });

  test("has types that mypy --strict accepts", NEEDED, async () => {
    expect(await python(["-m", "mypy", "--strict", "--cache-dir", "/dev/null"])).toContain(
      "Success",
    );
  });

  test("passes its own tests", NEEDED, async () => {
    const args = ["-m", "pytest", "-q", "-p", "no:cacheprovider"];
    expect(await python(args, { env: { DPOOL_URL: await member() } })).not.toContain("skipped");
  });

  test("runs in a notebook", NEEDED, async () => {
    const env = { DPOOL_URL: await member(), IPYTHONDIR: await folder() };
    const args = ["nbconvert", "--to", "notebook", "--execute", "--stdout", "tests/notebook.ipynb"];
    const { cells } = JSON.parse(await python(["-m", ...args], { env }));
    const outputOf = (index: number) => JSON.stringify(cells[index].outputs);
    expect(outputOf(2)).toContain("squaring 12");
    expect(outputOf(2)).toContain("144");
    expect(outputOf(3)).toContain("squaring 3");
    expect(outputOf(3)).toContain("4/4");
    expect(outputOf(4)).toContain("169");
  });

  test("is built as a package, which runs the programs of its page", NEEDED, async () => {
    const built = await folder();
    const url = await member();
    const quiet = ["-q", "--disable-pip-version-check", "--no-deps", "--no-build-isolation"];
    await python(["-m", "pip", "install", ...quiet, "--target", built, "."], {
      env: { TMPDIR: built },
    });
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8"));
    expect(await readdir(built)).toContain(`distributed_pool-${version}.dist-info`);
    const isProgram = ({ language, tags }: Block) => language === "python" && tags.includes("run");
    const programs = readPage(ROOT, "sdk/python/README.md").blocks.filter(isProgram);
    const outputs: string[] = [];
    for (const { line, text } of programs) {
      const file = join(built, `line${line}.py`);
      await writeFile(file, text.replaceAll("http://127.0.0.1:7400", url));
      outputs.push(await python([file], { cwd: built, env: { PYTHONPATH: built } }));
    }
    expect(outputs).toEqual([
      "squaring 12\n144\n",
      "m1 says foo is 1212, on Linux\n",
      expect.stringMatching(/^out\n3\nQUIET\n20\d\d\n$/),
      "2470\n144\n",
      "0\nfirst\nsecond\n\n",
      "[0, 1, 4]\ngave up, and the child is stopped\n",
      "function_threw ValueError no foo\n",
    ]);
  });

  const noConsul = consulMissing ?? (hasOpenssl ? undefined : "openssl is not installed");
  test.skipIf(noConsul)("finds members in Consul, which prove their names", NEEDED, async () => {
    const agent = await startConsul();
    onTestFinished(() => agent.stop());
    const pki = new Pki();
    onTestFinished(() => pki.remove());
    pki.authority("ours");
    const consul = { address: agent.httpAddress };
    for (const name of ["m1", "m2"]) {
      // The second one shows the certificate of another member, so it is sent no calls.
      pki.certificate(name, "ours", { members: [name === "m1" ? name : "m9"] });
      const files = { certFile: pki.at(`${name}.pem`), keyFile: pki.at(`${name}.key`) };
      const tls = { ...files, clientCaFile: pki.at("ours.pem"), caFile: pki.at("ours.pem") };
      await startOne({ name, consul, registry: undefined, tls });
    }
    const program = `
import os
from distributed_pool import ConsulOptions, DistributedPool, Tls
ca, cert, key = (os.environ["PKI"] + name for name in ("ours.pem", "m1.pem", "m1.key"))
with DistributedPool(consul=ConsulOptions.from_env(), tls=Tls(ca, cert, key)) as pool:
    runs = [pool.run("pipeline", ["echo", "foo"], retries=3) for _ in range(4)]
    print({run.child.id.split(".")[0] for run in runs}, {run.stdout for run in runs})
    print(runs[0].child.info().status, [event.type for event in runs[0].child.events()])
    print([member.load is not None for member in pool.pool("pipeline").members])
`;
    const env = { CONSUL_HTTP_ADDR: agent.httpAddress, PKI: pki.at("/") };
    const output = await python(["-c", program], { env });
    expect(output).toBe("{'m1'} {'foo\\n'}\nended ['placed', 'stdout', 'result']\n[True, False]\n");
  });

  test.skipIf(!onPath("ffmpeg"))("makes the thumbnails of the example", NEEDED, async () => {
    const made = await folder();
    const example = join(ROOT, "examples/thumbnails/thumbnails.py");
    expect(await python([example, await member(), made])).toContain("m1 made 10 thumbnails");
    expect((await readdir(made)).length).toBe(10);
  });
});
