/**
 * The kernel's answers under the filter. `test/unit/seccomp.test.ts` shows the filter's own
 * answers.
 */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readRoot } from "../../server/sandbox/root.ts";
import {
  ABSENT,
  CHECKED,
  type Numbers,
  REFUSED,
  type SeccompArch,
  seccompArch,
  seccompProgram,
  UNSUPPORTED,
} from "../../server/sandbox/seccomp.ts";
import { within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";
import { HAS_BUBBLEWRAP } from "../helpers/sandbox.ts";

const { EPERM, ENOMEM, ENOSYS, EAFNOSUPPORT, EOPNOTSUPP, EPROTONOSUPPORT } = constants.errno;
/** The exit code of a shell and of bubblewrap after SIGSYS: 128 and the signal. */
const KILLED_BY_FILTER = 128 + constants.signals.SIGSYS;

const arch = seccompArch(process.arch);
const obstacle =
  (!HAS_BUBBLEWRAP && "bubblewrap is missing or not allowed") ||
  (!onPath("perl") && "perl is not installed") ||
  (!arch && `no filter for ${process.arch}`);
const native: SeccompArch = arch ?? "x64";
const column = native === "x64" ? 0 : 1;
const numberOf = (name: string) => {
  const listed: Readonly<Record<string, Numbers>> = {
    ...REFUSED,
    ...ABSENT,
    ...UNSUPPORTED,
    ...CHECKED,
  };
  const number = listed[name]?.[column];
  if (typeof number !== "number") throw new Error(`no number of ${name}`);
  return number;
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "dpool-seccomp-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Options {
  /** The filter; null for none. Default: this machine's. */
  readonly filter?: SeccompArch | null;
  /** Further arguments of bubblewrap. */
  readonly mounts?: readonly string[];
}

/**
 * Runs a program in bubblewrap to its end. The program has every capability of its namespace, so
 * that only the filter refuses its calls. `ulimit` keeps a process that the filter kills from
 * leaving a core.
 */
async function run(argv: readonly string[], { filter = native, mounts = [] }: Options = {}) {
  const path = join(folder, "filter");
  writeFileSync(path, seccompProgram(filter ?? native));
  const fd = openSync(path, "r");
  const bwrap = [
    "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--uid", "65534",
    "--gid", "65534", "--die-with-parent", "--cap-add", "ALL",
    "--ro-bind", "/usr", "/usr",
    ...[...readRoot()].flatMap(([path, target]) =>
      target === null ? ["--ro-bind", path, path] : ["--symlink", target, path]),
    "--ro-bind-try", "/etc/alternatives", "/etc/alternatives",
    "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
    "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/work", "--chdir", "/work",
    ...mounts,
    ...(filter ? ["--seccomp", "3"] : []),
    "--",
  ]; // biome-ignore format: flags and values side by side
  const child = spawn("sh", ["-c", 'ulimit -c 0; exec "$@"', "sh", ...bwrap, ...argv], {
    stdio: ["ignore", "pipe", "pipe", fd],
  });
  closeSync(fd);
  // The types end at descriptor 4.
  const [stdout, stderr] = [child.stdout as Readable, child.stderr as Readable];
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("close", resolve).once("error", reject);
  });
  try {
    const ended = Promise.all([text(stdout), text(stderr), exited]);
    const [out, err, exitCode] = await within(`the end of ${argv[0]}`, ended);
    return { stdout: out, stderr: err, exitCode };
  } finally {
    child.kill("SIGKILL");
  }
}

/** Makes the calls of its arguments, numbers between commas. Prints the errno of each, or 0. */
const MAKE_CALLS = `
for (@ARGV) {
  my ($number, @args) = map { 0 + $_ } split /,/;
  my $answer = syscall($number, @args);
  my $errno = 0 + $!;
  print $answer == -1 ? $errno : 0, "\\n";
}`;

/** The errno of each call, 0 for none. */
async function errnos(calls: readonly (readonly number[])[], options?: Options): Promise<number[]> {
  const { stdout, stderr, exitCode } = await run(
    ["perl", "-e", MAKE_CALLS, ...calls.map((call) => call.join(","))],
    options,
  );
  expect({ stderr, exitCode }).toEqual({ stderr: "", exitCode: 0 });
  return stdout.trim().split("\n").map(Number);
}

interface Attempt {
  readonly name: string;
  readonly args: readonly number[];
  readonly errno: number;
  /** Whether a kernel may give the same answer without a filter. */
  readonly orKernel?: true;
}

const NOBODY = 999_999;
const STREAM = 1;
const DATAGRAM = 2;
const RAW = 3;
// With these arguments, a call that passes the filter fails in another way or does no harm.
const ATTEMPTS: readonly Attempt[] = [
  { name: "ptrace", args: [16, NOBODY, 0, 0], errno: EPERM },
  { name: "process_vm_readv", args: [1, 0, 0, 0, 0, 0], errno: EPERM },
  { name: "process_vm_writev", args: [1, 0, 0, 0, 0, 0], errno: EPERM },
  { name: "kcmp", args: [NOBODY, NOBODY, 0, 0, 0], errno: EPERM },
  { name: "pidfd_getfd", args: [-1, 0, 0], errno: EPERM },
  { name: "unshare", args: [0x200], errno: EPERM },
  { name: "setns", args: [-1, 0], errno: EPERM },
  // NEWUSER with CLONE_THREAD is invalid: a call that passes makes no process.
  { name: "clone", args: [0x10010000, 0, 0, 0, 0], errno: EPERM },
  { name: "clone3", args: [0, 0], errno: ENOSYS },
  { name: "mount", args: [0, 0, 0, 0, 0], errno: EPERM },
  { name: "umount2", args: [0, 0], errno: EPERM },
  { name: "open_tree", args: [-1, 0, 0], errno: EPERM },
  { name: "chroot", args: [0], errno: EPERM },
  { name: "keyctl", args: [0, -3, 0], errno: EPERM },
  { name: "bpf", args: [-1, 0, 0], errno: EPERM, orKernel: true },
  { name: "perf_event_open", args: [0, 0, -1, -1, 0], errno: EPERM, orKernel: true },
  { name: "userfaultfd", args: [-1], errno: EPERM, orKernel: true },
  { name: "io_uring_setup", args: [0, 0], errno: ENOSYS, orKernel: true },
  { name: "io_uring_enter", args: [-1, 0, 0, 0, 0], errno: ENOSYS, orKernel: true },
  { name: "open_by_handle_at", args: [-1, 0, 0], errno: EPERM, orKernel: true },
  { name: "name_to_handle_at", args: [-1, 0, 0, 0, 0], errno: EPERM },
  // ADDR_NO_RANDOMIZE
  { name: "personality", args: [0x40000], errno: EPERM },
  // AF_VSOCK; the same with a high bit; AF_ALG; AF_PACKET; AF_PACKET by AF_INET and SOCK_PACKET.
  { name: "socket", args: [40, STREAM, 0], errno: EAFNOSUPPORT, orKernel: true },
  { name: "socket", args: [0x1_0000_0028, STREAM, 0], errno: EAFNOSUPPORT, orKernel: true },
  { name: "socket", args: [38, 5, 0], errno: EAFNOSUPPORT, orKernel: true },
  // AF_NETLINK, whose unread messages no group counts.
  { name: "socket", args: [16, RAW, 0], errno: EAFNOSUPPORT },
  { name: "socket", args: [17, RAW, 0], errno: EAFNOSUPPORT, orKernel: true },
  { name: "socket", args: [2, 10, 0], errno: EAFNOSUPPORT, orKernel: true },
  // SCTP, UDP-Lite and MPTCP.
  { name: "socket", args: [2, STREAM, 132], errno: EPROTONOSUPPORT, orKernel: true },
  { name: "socket", args: [2, DATAGRAM, 136], errno: EPROTONOSUPPORT, orKernel: true },
  { name: "socket", args: [2, STREAM, 262], errno: EPROTONOSUPPORT, orKernel: true },
  // Huge pages; an access list; a memory policy.
  { name: "memfd_create", args: [0, 4], errno: ENOMEM },
  { name: "fsetxattr", args: [-1, 0, 0, 0, 0], errno: EOPNOTSUPP },
  { name: "mbind", args: [1, 0, 0, 0, 0, 0], errno: ENOSYS, orKernel: true },
  { name: "socketpair", args: [2, STREAM, 0, 0], errno: EAFNOSUPPORT },
  // TIOCSTI; TIOCLINUX; TIOCSTI with a high bit, which the kernel drops.
  { name: "ioctl", args: [0, 0x5412, 0], errno: EPERM },
  { name: "ioctl", args: [0, 0x541c, 0], errno: EPERM },
  { name: "ioctl", args: [0, 0x1_0000_5412, 0], errno: EPERM },
];
const callOf = ({ name, args }: Pick<Attempt, "name" | "args">) => [numberOf(name), ...args];
const show = ({ name, args }: Attempt) =>
  `${name}(${args.map((value) => (value < 0 ? value : `0x${value.toString(16)}`)).join(", ")})`;
const shown = (attempts: readonly Attempt[], errnos: readonly number[]) =>
  attempts.map((attempt, index) => `${show(attempt)} ${errnos[index]}`);

describe.skipIf(obstacle !== false)(
  `the filter in the kernel${obstacle ? ` (skipped: ${obstacle})` : ""}`,
  () => {
    test("attempts are refused", async () => {
      const expected = ATTEMPTS.map(({ errno }) => errno);
      expect(shown(ATTEMPTS, await errnos(ATTEMPTS.map(callOf)))).toEqual(
        shown(ATTEMPTS, expected),
      );
    });

    test("the same attempts end differently without the filter", async () => {
      const telling = ATTEMPTS.filter(({ orKernel }) => !orKernel);
      const without = await errnos(telling.map(callOf), { filter: null });
      expect(telling.filter(({ errno }, index) => without[index] === errno).map(show)).toEqual([]);
    });

    test("every listed call is refused", async () => {
      const listed = [
        ...Object.keys(REFUSED).map((name) => ({
          name,
          args: Array<number>(5).fill(-1),
          errno: EPERM,
        })),
        ...Object.keys(ABSENT).map((name) => ({
          name,
          args: Array<number>(5).fill(-1),
          errno: ENOSYS,
        })),
      ].filter(({ name }) => ({ ...REFUSED, ...ABSENT })[name]?.[column] !== null);
      const expected = listed.map(({ errno }) => errno);
      expect(shown(listed, await errnos(listed.map(callOf)))).toEqual(shown(listed, expected));
    });

    test("calls that programs need are allowed: sockets, terminals, the personality", async () => {
      const calls = [
        { name: "socket", args: [1, STREAM, 0] },
        { name: "socket", args: [2, STREAM, 0] },
        { name: "personality", args: [0xffffffff] },
        { name: "personality", args: [0] },
        // TIOCGWINSZ of a descriptor that is not a terminal.
        { name: "ioctl", args: [0, 0x5413, 0] },
        // A socket pair without a buffer for its descriptors.
        { name: "socketpair", args: [1, STREAM, 0, 0] },
      ];
      const { ENOTTY, EFAULT } = constants.errno;
      expect(await errnos(calls.map(callOf))).toEqual([0, 0, 0, 0, ENOTTY, EFAULT]);
    });

    test.skipIf(native !== "x64")("on x86-64, x32 calls are refused: getpid", async () => {
      expect(await errnos([[0x40000000 + 39]])).toEqual([EPERM]);
    });

    test.skipIf(native !== "x64")(
      "on x86-64, a program that makes a 32-bit call is killed",
      async () => {
        const path = join(folder, "int80");
        writeFileSync(path, int80Program(), { mode: 0o755 });
        const mounts = ["--ro-bind", path, "/work/int80"];
        expect(await run(["/work/int80"], { mounts })).toMatchObject({
          exitCode: KILLED_BY_FILTER,
          stdout: "",
        });
      },
    );

    test("no program runs under the filter of another architecture", async () => {
      const { exitCode, stdout } = await run(["sh", "-c", "echo ran"], {
        filter: native === "x64" ? "arm64" : "x64",
      });
      expect({ exitCode, stdout }).toEqual({ exitCode: KILLED_BY_FILTER, stdout: "" });
    });

    test("programs run: a shell with pipes, jobs and substitutions", async () => {
      const { stdout, stderr, exitCode } = await run([
        "sh",
        "-c",
        'echo "$(echo a | tr a b)"; (exit 3) & wait $! || echo $?; ls /usr >/dev/null && id -u',
      ]);
      expect({ stdout, stderr, exitCode }).toEqual({
        stdout: "b\n3\n65534\n",
        stderr: "",
        exitCode: 0,
      });
    });

    test("programs run: fork", async () => {
      const { stdout } = await run([
        "perl",
        "-e",
        'my $pid = fork // die "no fork: $!"; exit 7 unless $pid; waitpid $pid, 0; print $? >> 8',
      ]);
      expect(stdout).toBe("7");
    });

    test("programs run: node with threads, a child process, a local socket", async () => {
      const script = `
      const { once } = require("node:events");
      const { Worker } = require("node:worker_threads");
      const { execFileSync } = require("node:child_process");
      const net = require("node:net");
      (async () => {
        const worker = new Worker("require('node:worker_threads').parentPort.postMessage(6 * \
7)", { eval: true });
        const [product] = await once(worker, "message");
        const greeting = execFileSync("echo", ["hello"], { encoding: "utf8" }).trim();
        const file = await require("node:fs/promises").writeFile("file", "data").then(() => \
require("node:fs/promises").readFile("file", "utf8"));
        const server = net.createServer((socket) => socket.end("over")).listen("socket");
        await once(server, "listening");
        const [bytes] = await once(net.connect("socket"), "data");
        server.close();
        console.log([product, greeting, file, bytes].join(" "));
      })();`;
      const mounts = ["--ro-bind", process.execPath, "/work/node"];
      const { stdout, stderr, exitCode } = await run(["/work/node", "-e", script], { mounts });
      expect({ stdout, stderr, exitCode }).toEqual({
        stdout: "42 hello data over\n",
        stderr: "",
        exitCode: 0,
      });
    });

    const hasFfmpeg = onPath("ffmpeg");
    test.skipIf(!hasFfmpeg)(
      `programs run: ffmpeg with threads${hasFfmpeg ? "" : " (skipped: ffmpeg is not installed)"}`,
      async () => {
        expect(await run(["ffmpeg", "-version"])).toMatchObject({
          exitCode: 0,
          stdout: expect.stringContaining("ffmpeg version"),
        });
        const encode =
          "ffmpeg -v error -threads 4 -f lavfi -i " +
          "testsrc=size=64x64:rate=5:duration=1 -f rawvideo -pix_fmt gray pipe:1 | wc -c";
        expect(await run(["sh", "-c", encode])).toEqual({
          exitCode: 0,
          stdout: `${64 * 64 * 5}\n`,
          stderr: "",
        });
      },
    );
  },
);

/** An ELF of x86-64 that makes the 32-bit `getpid`, and exits with 0 if it survives. */
function int80Program(): Buffer {
  const base = 0x400000;
  const headers = 64 + 56;
  // mov eax, 20; int 0x80; xor edi, edi; mov eax, 60; syscall
  const code = Buffer.from("b814000000cd8031ffb83c0000000f05", "hex");
  const file = Buffer.alloc(headers + code.length);
  // Header: 64 bits, little endian, version 1; executable, x86-64, version 1; entry, program
  // headers; sizes and counts.
  file.write("7f454c46020101", 0, "hex");
  file.writeUInt16LE(2, 16);
  file.writeUInt16LE(62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(base + headers), 24);
  file.writeBigUInt64LE(64n, 32);
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  // The one segment: loaded, readable and executable, the whole file.
  file.writeUInt32LE(1, 64);
  file.writeUInt32LE(5, 68);
  file.writeBigUInt64LE(BigInt(base), 80);
  file.writeBigUInt64LE(BigInt(base), 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(4096n, 112);
  code.copy(file, headers);
  return file;
}
