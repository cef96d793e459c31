/** Bare starts, without a member: what the starts of a member stand beside. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

const NODE = "/run/bench/node";
const OPTIONS = { env: { PATH: "/usr/bin:/bin" } };

/** The namespaces and mounts of a child, without limits, filter and control group. */
const BUBBLEWRAP =
  "--unshare-all --unshare-user --disable-userns --uid 65534 --gid 65534 --die-with-parent " +
  "--new-session --cap-drop ALL --clearenv --setenv PATH /usr/bin:/bin " +
  "--ro-bind /usr /usr --symlink usr/bin /bin --symlink usr/lib /lib --symlink usr/lib64 /lib64 " +
  "--proc /proc --dev /dev --size 8388608 --tmpfs /dev/shm --size 67108864 --tmpfs /tmp " +
  "--size 67108864 --perms 0700 --tmpfs /work --dir /run " +
  "--remount-ro /dev --hostname child --chdir /work";
const READY = 'require("node:fs").writeSync(3, "ready"); setInterval(() => {}, 1e6)';

async function untilExit(child: ChildProcess): Promise<void> {
  const [code] = (await once(child, "exit")) as [number | null];
  if (code !== 0) throw new Error(`expected exit code 0; got ${code}`);
}

/** The bare starts by name. Each resolves once the process has ended, or `node` runs. */
export const BARE = {
  "plain spawn of true": () => untilExit(spawn("true", [], { ...OPTIONS, stdio: "ignore" })),
  "bare bubblewrap, true": () =>
    untilExit(
      spawn("bwrap", [...BUBBLEWRAP.split(" "), "--", "true"], { ...OPTIONS, stdio: "ignore" }),
    ),
  "bare sandboxed node": async () => {
    const bind = ["--ro-bind", process.execPath, NODE];
    const argv = [...BUBBLEWRAP.split(" "), ...bind, "--remount-ro", "/", "--", NODE, "-e", READY];
    const stdio = ["ignore", "ignore", "inherit", "pipe"] as const;
    const child = spawn("bwrap", argv, { ...OPTIONS, stdio: [...stdio] });
    const exited = once(child, "exit");
    await Promise.race([once(child.stdio[3] as NodeJS.ReadableStream, "data"), exited]);
    const isReady = child.exitCode === null;
    child.kill("SIGKILL");
    await exited;
    if (!isReady) throw new Error(`bubblewrap ended with ${child.exitCode}`);
  },
} as const satisfies Record<string, () => Promise<void>>;

export type BareName = keyof typeof BARE;

/** Starts to make, so many at a time. */
export interface BareTask {
  readonly name: BareName;
  readonly callers: number;
  readonly calls: number;
}

/** Makes the starts. @returns the milliseconds of each, and of all together. */
export async function runBare({ name, callers, calls }: BareTask) {
  const times: number[] = [];
  let left = calls;
  const start = performance.now();
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) {
        const from = performance.now();
        await BARE[name]();
        times.push(performance.now() - from);
      }
    }),
  );
  return { times, ms: performance.now() - start };
}

export type BareAnswer = Awaited<ReturnType<typeof runBare>>;
