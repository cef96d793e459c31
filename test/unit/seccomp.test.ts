/**
 * The filter's answers, in an interpreter of classic BPF. `test/process/seccomp.test.ts` shows that
 * the kernel agrees.
 */
import { existsSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
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

/** `BPF_MAXINSNS` of `linux/bpf_common.h`. */
const MAX_INSTRUCTIONS = 4_096;
const ALLOW = "allow";
const KILL = "kill";
const EPERM = "errno 1";
const ENOSYS = "errno 38";
const EPROTONOSUPPORT = "errno 93";
const EOPNOTSUPP = "errno 95";
const EAFNOSUPPORT = "errno 97";

const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** `AUDIT_ARCH_I386` and `AUDIT_ARCH_ARM`, the architectures of 32-bit calls. */
const FOREIGN = [0x40000003, 0x40000028];
const X32 = 0x40000000;

interface Call {
  readonly number: number;
  readonly args?: readonly bigint[];
  /** Default: the program's own. */
  readonly audit?: number;
}

interface Instruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly k: number;
}

function decode(program: Buffer): Instruction[] {
  return Array.from({ length: program.length / 8 }, (_, index) => ({
    code: program.readUInt16LE(index * 8),
    ifTrue: program.readUInt8(index * 8 + 2),
    ifFalse: program.readUInt8(index * 8 + 3),
    k: program.readUInt32LE(index * 8 + 4),
  }));
}

const LD_W_ABS = 0x20;
const ALU_AND = 0x54;
const RET = 0x06;
const JUMPS: Readonly<Record<number, (a: number, k: number) => boolean>> = {
  21: (a, k) => a === k,
  53: (a, k) => a >= k,
  69: (a, k) => (a & k) !== 0,
};

/** `struct seccomp_data`: number, architecture, instruction pointer, six arguments. */
function seccompData({ number, args = [] }: Call, audit: number): Buffer {
  const data = Buffer.alloc(64);
  data.writeUInt32LE(number, 0);
  data.writeUInt32LE(audit, 4);
  for (const [index, value] of args.entries())
    data.writeBigUInt64LE(BigInt.asUintN(64, value), 16 + 8 * index);
  return data;
}

function run(program: readonly Instruction[], data: Buffer): string {
  let a = 0;
  for (let at = 0; ; at++) {
    const instruction = program[at];
    if (!instruction) throw new Error(`ran out of the program, at ${at}`);
    const { code, ifTrue, ifFalse, k } = instruction;
    const jump = JUMPS[code];
    if (jump) at += jump(a, k) ? ifTrue : ifFalse;
    else if (code === LD_W_ABS) a = data.readUInt32LE(k);
    else if (code === ALU_AND) a = (a & k) >>> 0;
    else if (code === RET) {
      if (k === 0x7fff0000) return ALLOW;
      if (k === 0x80000000) return KILL;
      if (k >>> 16 === 5) return `errno ${k & 0xffff}`;
      throw new Error(`unknown answer ${k.toString(16)}`);
    } else throw new Error(`unknown instruction ${code.toString(16)} at ${at}`);
  }
}

const uint32 = () => fc.integer({ min: 0, max: 0xffffffff });
const uint64 = () => fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const high = () => fc.bigInt({ min: 0n, max: 2n ** 32n - 1n }).map((bits) => bits << 32n);
const anyArguments = () => fc.array(uint64(), { minLength: 6, maxLength: 6 });

/** Headers of `linux-libc-dev` with the numbers of calls; the first that exists counts. */
const HEADERS: Readonly<Record<SeccompArch, readonly string[]>> = {
  x64: ["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"],
  arm64: ["/usr/include/asm-generic/unistd.h"],
};

test("other architectures have no filter", () => {
  expect(["x64", "arm64", "ia32", "arm", "riscv64", "s390x", ""].map(seccompArch)).toEqual([
    "x64",
    "arm64",
    ...Array(5).fill(undefined),
  ]);
});

describe.each(["x64", "arm64"] as const)("%s", (arch) => {
  const column = arch === "x64" ? 0 : 1;
  const bytes = seccompProgram(arch);
  const program = decode(bytes);
  const ask = (call: Call) => run(program, seccompData(call, call.audit ?? AUDIT[arch]));
  const numbersOf = (calls: Readonly<Record<string, Numbers>>) =>
    Object.values(calls).flatMap(({ [column]: number }) => (number === null ? [] : [number]));
  const call = (name: keyof typeof CHECKED, ...args: (number | bigint)[]) =>
    ask({ number: CHECKED[name][column], args: args.map(BigInt) });
  const listed = new Set([REFUSED, ABSENT, UNSUPPORTED, CHECKED].flatMap(numbersOf));

  const header = HEADERS[arch].find((path) => existsSync(path));
  test.skipIf(header === undefined)(
    `the numbers are the kernel's${header ? "" : ` (skipped: ${HEADERS[arch][0]} is not there)`}`,
    () => {
      const text = readFileSync(header as string, "latin1");
      const known = new Map(
        [...text.matchAll(/^#define __NR(?:3264)?_(\w+)\s+(\d+)$/gm)].map(([, name, number]) => [
          name as string,
          Number(number),
        ]),
      );
      expect(known.size).toBeGreaterThan(250);
      const calls = Object.entries<Numbers>({ ...REFUSED, ...ABSENT, ...UNSUPPORTED, ...CHECKED });
      // An old header may lack a new call.
      const inHeader = calls.filter(
        ([name, numbers]) => known.has(name) || (numbers[column] ?? Number.POSITIVE_INFINITY) < 424,
      );
      expect(inHeader.length).toBeGreaterThan(40);
      expect(inHeader.map(([name]) => [name, known.get(name)])).toEqual(
        inHeader.map(([name, numbers]) => [name, numbers[column]]),
      );
      const none = calls.filter(([, numbers]) => numbers[column] === null).map(([name]) => name);
      expect(none.filter((name) => known.has(name))).toEqual([]);
    },
  );

  test("no number is listed twice", () => {
    expect(listed.size).toBe([REFUSED, ABSENT, UNSUPPORTED, CHECKED].flatMap(numbersOf).length);
  });

  test("jumps stay inside, each instruction is reached, each path ends in an answer", () => {
    const targets = program.flatMap(({ code, ifTrue, ifFalse }, at) => {
      if (code === RET) return [];
      return JUMPS[code] ? [at + 1 + ifTrue, at + 1 + ifFalse] : [at + 1];
    });
    expect(new Set([0, ...targets])).toEqual(new Set(program.keys()));
    expect(program.at(-1)?.code).toBe(RET);
  });

  test("loads are aligned and inside the data", () => {
    const offsets = program.filter(({ code }) => code === LD_W_ABS).map(({ k }) => k);
    expect(offsets.filter((offset) => offset % 4 !== 0 || offset > 60)).toEqual([]);
  });

  test("the filter is small", () => {
    expect(bytes.length % 8).toBe(0);
    expect(program.length).toBeLessThan(MAX_INSTRUCTIONS);
    expect(bytes.length).toBeGreaterThan(1_000);
    expect(bytes.length).toBeLessThan(4_096);
  });

  test("any call of another architecture ends the process", () => {
    const foreign = fc
      .oneof(uint32(), fc.constantFrom(...FOREIGN, ...Object.values(AUDIT)))
      .filter((audit) => audit !== AUDIT[arch]);
    fc.assert(
      fc.property(
        uint32(),
        anyArguments(),
        foreign,
        (number, args, audit) => ask({ number, args, audit }) === KILL,
      ),
    );
  });

  test(`x32 calls are ${arch === "x64" ? "refused" : "unknown"}`, () => {
    const number = fc.integer({ min: 0, max: X32 - 1 }).map((low) => X32 + low);
    fc.assert(
      fc.property(
        number,
        anyArguments(),
        (number, args) => ask({ number, args }) === (arch === "x64" ? EPERM : ALLOW),
      ),
    );
    expect(ask({ number: X32 + 39 })).toBe(arch === "x64" ? EPERM : ALLOW);
  });

  test("a call that is not listed is allowed", () => {
    const unlisted = [...Array(1_024).keys()].filter((number) => !listed.has(number));
    expect(unlisted.filter((number) => ask({ number }) !== ALLOW)).toEqual([]);
    const number = fc
      .oneof(fc.constantFrom(...unlisted), fc.integer({ min: 0, max: X32 - 1 }))
      .filter((number) => !listed.has(number));
    fc.assert(
      fc.property(number, anyArguments(), (number, args) => ask({ number, args }) === ALLOW),
    );
  });

  test("a listed call is refused with any arguments", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...numbersOf(REFUSED)),
        anyArguments(),
        (number, args) => ask({ number, args }) === EPERM,
      ),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...numbersOf(ABSENT)),
        anyArguments(),
        (number, args) => ask({ number, args }) === ENOSYS,
      ),
    );
    expect(numbersOf(UNSUPPORTED).filter((number) => ask({ number }) !== EOPNOTSUPP)).toEqual([]);
    expect(numbersOf(REFUSED).filter((number) => ask({ number }) !== EPERM)).toEqual([]);
    expect(numbersOf(ABSENT).filter((number) => ask({ number }) !== ENOSYS)).toEqual([]);
  });

  test("clone makes processes and threads", () => {
    const SIGCHLD = 17;
    // The flags of glibc's `fork`, `posix_spawn` (CLONE_VM, CLONE_VFORK) and `pthread_create`.
    for (const flags of [0x01200000 | SIGCHLD, 0x4100 | SIGCHLD, 0x3d0f00])
      expect(call("clone", flags)).toBe(ALLOW);
  });

  test.each([
    ["NEWNS", 0x00020000],
    ["NEWCGROUP", 0x02000000],
    ["NEWUTS", 0x04000000],
    ["NEWIPC", 0x08000000],
    ["NEWUSER", 0x10000000],
    ["NEWPID", 0x20000000],
    ["NEWNET", 0x40000000],
  ])("clone makes no namespace: CLONE_%s", (_, flag) => {
    const flags = fc
      .tuple(uint64(), fc.constant(BigInt(flag)))
      .map(([others, flag]) => others | flag);
    fc.assert(fc.property(flags, (flags) => call("clone", flags) === EPERM));
  });

  test.each([
    ["TIOCSTI", 0x5412],
    ["TIOCLINUX", 0x541c],
  ])("ioctl puts no input into a terminal: %s, with any high bits", (_, command) => {
    fc.assert(
      fc.property(
        uint64(),
        high(),
        (fd, bits) => call("ioctl", fd, bits | BigInt(command)) === EPERM,
      ),
    );
  });

  test("ioctl does everything else", () => {
    // TCGETS, TIOCGWINSZ, FIONREAD, FIOCLEX, and the neighbours of the refused two.
    for (const command of [0x5401, 0x5413, 0x541b, 0x5451, 0x5411, 0x541d, 0])
      expect(call("ioctl", 0, command)).toBe(ALLOW);
    // A refused command as another argument.
    expect(call("ioctl", 0x5412, 0, 0x5412)).toBe(ALLOW);
  });

  test("personality answers queries, and sets only the common one", () => {
    fc.assert(
      fc.property(
        high(),
        fc.constantFrom(0n, 0xffffffffn),
        (bits, value) => call("personality", bits | value) === ALLOW,
      ),
    );
    // ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, MMAP_PAGE_ZERO, PER_LINUX32.
    for (const value of [0x0040000, 0x0400000, 0x0100000, 0x0008])
      expect(call("personality", value)).toBe(EPERM);
    const others = uint32().filter((value) => value !== 0 && value !== 0xffffffff);
    fc.assert(
      fc.property(
        high(),
        others,
        (bits, value) => call("personality", bits | BigInt(value)) === EPERM,
      ),
    );
  });

  test("sockets are local or IP, with any high bits", () => {
    const STREAM_CLOEXEC_NONBLOCK = 1 | 0x80000 | 0x800;
    const families = [1, 2, 10];
    for (const family of families)
      expect(call("socket", family, STREAM_CLOEXEC_NONBLOCK)).toBe(ALLOW);
    fc.assert(
      fc.property(
        high(),
        fc.constantFrom(...families),
        (bits, family) => call("socket", bits | BigInt(family), 1) === ALLOW,
      ),
    );
    // AF_NETLINK, AF_PACKET, AF_ALG, AF_VSOCK, AF_XDP, AF_UNSPEC.
    for (const family of [16, 17, 38, 40, 44, 0])
      expect(call("socket", family, 1)).toBe(EAFNOSUPPORT);
    const others = uint32().filter((family) => !families.includes(family));
    fc.assert(
      fc.property(
        high(),
        others,
        uint64(),
        (bits, family, type) => call("socket", bits | BigInt(family), type) === EAFNOSUPPORT,
      ),
    );
  });

  test("SOCK_PACKET makes no AF_PACKET of an AF_INET, with any flags", () => {
    const type = uint64().map((bits) => (bits & ~0xfn) | 10n);
    fc.assert(fc.property(type, (type) => call("socket", 2, type) === EAFNOSUPPORT));
  });

  test("sockets are of the usual protocols, with any high bits", () => {
    const known = [0, 1, 6, 17, 58];
    for (const protocol of known) expect(call("socket", 2, 1, protocol)).toBe(ALLOW);
    // SCTP, UDP-Lite, MPTCP, IPPROTO_RAW.
    for (const protocol of [132, 136, 262, 255])
      expect(call("socket", 10, 1, protocol)).toBe(EPROTONOSUPPORT);
    const others = uint32().filter((protocol) => !known.includes(protocol));
    fc.assert(
      fc.property(
        high(),
        others,
        (bits, protocol) => call("socket", 2, 1, bits | BigInt(protocol)) === EPROTONOSUPPORT,
      ),
    );
  });

  test.each([
    ["mmap", 3, 0x40000],
    ["memfd_create", 1, 0x4],
    ["shmget", 2, 0o4000],
  ] as const)("%s takes no huge pages", (name, index, flag) => {
    const ENOMEM = "errno 12";
    fc.assert(
      fc.property(anyArguments(), (args) => {
        const plain = args.with(index, (args[index] as bigint) & ~BigInt(flag));
        const huge = args.with(index, (args[index] as bigint) | BigInt(flag));
        return call(name, ...plain) === ALLOW && call(name, ...huge) === ENOMEM;
      }),
    );
  });

  test("socket pairs are local", () => {
    fc.assert(fc.property(high(), (bits) => call("socketpair", bits | 1n, 1) === ALLOW));
    const others = uint32().filter((family) => family !== 1);
    fc.assert(
      fc.property(
        high(),
        others,
        (bits, family) => call("socketpair", bits | BigInt(family), 1) === EAFNOSUPPORT,
      ),
    );
  });
});
