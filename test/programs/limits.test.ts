/** Programs in several languages find the limits of their child, and not those of the machine. */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { PoolOptions } from "../../server/member/pool-options.ts";
import { hostileMissing } from "../helpers/hostile.ts";
import { post, startOne, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const MIB = 1024 * 1024;
const MEMORY = 512 * MIB;
/** With one processor alone, every affinity is the whole machine. */
const CORES = availableParallelism();
const missing =
  hostileMissing ?? (CORES > 1 ? undefined : "the machine has one processor, which all share");

/** A folder that children see at `/programs`. */
function programs(): string {
  const folder = mkdtempSync(join(tmpdir(), "dpool-programs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  chmodSync(folder, 0o755);
  return folder;
}

async function start(options: Partial<PoolOptions> = {}, folder = programs()) {
  const javaConfig = existsSync("/etc/java-17-openjdk") ? ["/etc/java-17-openjdk"] : [];
  const member = await startOne({
    pools: {
      pipeline: {
        maxChildren: 4,
        limits: { memoryBytes: MEMORY, cpus: 1 },
        readOnly: [`${folder}:/programs`, ...javaConfig],
        ...options,
      },
    },
  });
  return async (command: readonly string[], spec: object = {}) => {
    const answer = await within(
      `the end of ${command[0]}`,
      post(member.url, "/run", { pool: "pipeline", command, ...spec }),
    );
    return (await answer.json()) as { stdout: string; stderr: string; exitCode: number };
  };
}

describe.skipIf(missing)(`limits${missing ? ` (skipped: ${missing})` : ""}`, () => {
  test("coreutils, Python, Perl and make count one processor", async () => {
    const run = await start();
    const one = (command: readonly string[], spec?: object) =>
      run(command, spec).then(({ stdout, stderr }) => expect(stdout + stderr).toBe("1\n"));
    await one(["nproc"]);
    await one(["env", "-u", "OMP_NUM_THREADS", "nproc"]);
    if (onPath("python3"))
      await one(["/usr/bin/python3", "-c", "import os; print(len(os.sched_getaffinity(0)))"]);
    const makefile = "all:\n\t@echo $(words $(filter -j%,$(MAKEFLAGS)))\n";
    if (onPath("make"))
      await one(["sh", "-c", "make -s -j$(nproc)"], { files: { Makefile: makefile } });
  });

  test.skipIf(!onPath("gcc"))("OpenMP starts one thread", async () => {
    const folder = programs();
    writeFileSync(
      join(folder, "m.c"),
      '#include <omp.h>\n#include <stdio.h>\nint main(){printf("%d\\n",omp_get_max_threads());}',
    );
    execFileSync("gcc", ["-fopenmp", "-o", join(folder, "m"), join(folder, "m.c")]);
    const run = await start({ limitVariables: false }, folder);
    expect((await run(["/programs/m"])).stdout).toBe("1\n");
  });

  test.skipIf(!onPath("go"))("Go knows the processors and the memory", async () => {
    const folder = programs();
    writeFileSync(
      join(folder, "m.go"),
      'package main\nimport ("fmt";"runtime";"runtime/debug")\n' +
        "func main(){fmt.Println(runtime.GOMAXPROCS(0),debug.SetMemoryLimit(-1)>>20)}",
    );
    execFileSync("go", ["build", "-o", join(folder, "m"), join(folder, "m.go")], {
      env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "" },
    });
    const run = await start({}, folder);
    expect((await run(["/programs/m"])).stdout).toBe("1 460\n");
  });

  test("Node knows the memory, and its heap fits", async () => {
    const run = await start();
    const source =
      "() => [process.constrainedMemory(), require('os').availableParallelism(), " +
      "require('v8').getHeapStatistics().heap_size_limit, process.env.NODE_OPTIONS]";
    const answer = await run([], { command: undefined, function: { source, args: [] } });
    const [memory, cpus, heap, options] = (answer as unknown as { value: number[] }).value;
    expect([memory, cpus]).toEqual([MEMORY, 1]);
    expect(heap).toBeLessThan(MEMORY * 1.2);
    expect(options).toBe("--max-old-space-size=512");
  });

  test.skipIf(!onPath("javac"))("Java sizes its heap by the child, and says nothing", async () => {
    const folder = programs();
    const source =
      "import java.util.*; public class M { public static void main(String[] a) {" +
      'System.out.println(Runtime.getRuntime().availableProcessors() + " " + ' +
      "(Runtime.getRuntime().maxMemory() >> 20));" +
      // 64 MB are live at a time, of 2 GB.
      "List<byte[]> l = new ArrayList<>(); for (int i = 0; i < 2000; i++) {" +
      "if (l.size() == 64) l.remove(0); l.add(new byte[1 << 20]); } } }";
    writeFileSync(join(folder, "M.java"), source);
    execFileSync("javac", ["-d", folder, join(folder, "M.java")]);
    const run = await start({}, folder);
    const { stdout, stderr, exitCode } = await run(["java", "-cp", "/programs", "M"]);
    expect(stderr).toBe("");
    expect(exitCode).toBe(0);
    const [cpus, heap] = stdout.split(" ").map(Number);
    expect(cpus).toBe(1);
    expect(heap).toBeLessThan(200);
  });

  test("a caller's variables replace those of runtimes, but not the limits", async () => {
    const run = await start({ env: { OMP_NUM_THREADS: "3" } });
    const script =
      'echo "$GOMAXPROCS $OMP_NUM_THREADS $NODE_OPTIONS $POOL_CPUS $POOL_MEMORY_BYTES"';
    const env = { GOMAXPROCS: "7", NODE_OPTIONS: "", POOL_CPUS: "99", POOL_MEMORY_BYTES: "99" };
    expect((await run(["sh", "-c", script], { env })).stdout).toBe(`7 3  1 ${MEMORY}\n`);
    const silent = await start({ limitVariables: false });
    expect((await silent(["sh", "-c", script])).stdout).toBe(`   1 ${MEMORY}\n`);
  });

  test("children have processors of their own, and the next one has all", async () => {
    const member = await startOne({ pools: { pipeline: { maxChildren: 9, limits: { cpus: 1 } } } });
    const command = ["sh", "-c", "grep Cpus_allowed_list /proc/self/status; exec sleep 60"];
    const lists: string[] = [];
    for (let child = 0; child <= CORES; child++) {
      const placed = await post(member.url, "/children", { pool: "pipeline", command });
      const { id } = (await placed.json()) as { id: string };
      const answer = await fetch(`${member.url}/children/${id}/events`);
      let text = "";
      if (!answer.body) throw new Error("expected a stream");
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      while (!text.includes("list:")) text += (await within("its list", reader.read()))?.value;
      lists.push(/list:\\t([\d,-]+)/.exec(text)?.[1] ?? text);
      await reader.cancel();
    }
    expect(new Set(lists.slice(0, CORES)).size).toBe(CORES);
    expect(lists.slice(0, CORES).every((list) => /^\d+$/.test(list))).toBe(true);
    expect(lists.at(-1)).toMatch(/[,-]/);
  });
});

describe.skipIf(missing)(`shared memory${missing ? ` (skipped: ${missing})` : ""}`, () => {
  const python = (script: string) => ["/usr/bin/python3", "-c", script];

  test.skipIf(!onPath("python3"))("Python shares 100 MB between processes", async () => {
    const run = await start();
    const script = `
from multiprocessing import Process, shared_memory
def fill(name):
  s = shared_memory.SharedMemory(name=name); s.buf[:] = b"x" * len(s.buf); s.close()
s = shared_memory.SharedMemory(create=True, size=100_000_000)
p = Process(target=fill, args=(s.name,)); p.start(); p.join()
print(bytes(s.buf[-3:])); s.close(); s.unlink()`;
    expect(await run(python(script))).toMatchObject({ stdout: "b'xxx'\n", exitCode: 0 });
  });

  test("it is half of the memory, or as the pool says, and a caller can tighten it", async () => {
    const size = ["sh", "-c", "df --output=size -B1 /dev/shm | tail -n 1 | tr -d ' '"];
    const run = await start();
    expect((await run(size)).stdout).toBe(`${MEMORY / 2}\n`);
    expect((await run(size, { limits: { shmBytes: MIB } })).stdout).toBe(`${MIB}\n`);
    expect((await run(size, { limits: { memoryBytes: 64 * MIB } })).stdout).toBe(`${32 * MIB}\n`);
    const set = await start({ limits: { memoryBytes: MEMORY, shmBytes: 3 * MIB } });
    expect((await set(size)).stdout).toBe(`${3 * MIB}\n`);
  });

  test("more fails, and ends a program that has mapped it", async () => {
    const run = await start({ limits: { memoryBytes: MEMORY, shmBytes: MIB } });
    const dd = await run(["dd", "if=/dev/zero", "of=/dev/shm/a", "bs=1M", "count=2"]);
    expect(dd.stderr).toContain("No space left on device");
    const mapped = `
import mmap
f = open("/dev/shm/a", "wb+"); f.truncate(8 << 20)
m = mmap.mmap(f.fileno(), 8 << 20); m[:] = b"x" * len(m)`;
    if (onPath("python3")) expect(await run(python(mapped))).toMatchObject({ exitCode: 135 });
  });
});
