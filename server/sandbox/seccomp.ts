/**
 * The seccomp filter of a child. It refuses system calls that no work needs and that reach beyond
 * the child or widen the kernel's surface. It lists the refused calls, not the allowed ones,
 * because any kind of program must run. Pure.
 */

/** The number of a call on x86-64 and on arm64; null on an architecture without the call. */
export type Numbers = readonly [x64: number | null, arm64: number | null];

// The numbers are from `asm/unistd_64.h` and `asm-generic/unistd.h` of Linux 6.1, and for
// `open_tree_attr` of Linux 6.15. Both architectures share the numbers from 424 on.

/** Calls that are refused with EPERM, whatever their arguments. */
// biome-ignore format: one attack, one group
export const REFUSED: Readonly<Record<string, Numbers>> = {
  // Takes over another process: its memory, its registers, its descriptors.
  ptrace: [101, 117], process_vm_readv: [310, 270], process_vm_writev: [311, 271],
  kcmp: [312, 272], pidfd_getfd: [438, 438],
  // Undoes the read-only view of the file system.
  mount: [165, 40], umount2: [166, 39], pivot_root: [155, 41], chroot: [161, 51],
  move_mount: [429, 429], open_tree: [428, 428], open_tree_attr: [467, 467], fsopen: [430, 430],
  fsconfig: [431, 431], fsmount: [432, 432], fspick: [433, 433], mount_setattr: [442, 442],
  // Enters or makes a namespace, in which the child would hold every capability.
  unshare: [272, 97], setns: [308, 268],
  // Reads and fills the session's keyring, which a child inherits from the server.
  keyctl: [250, 219], add_key: [248, 217], request_key: [249, 218],
  // Runs code in the kernel, watches it, or stops it in the middle of a copy, as exploits do.
  bpf: [321, 280], perf_event_open: [298, 241], userfaultfd: [323, 282],
  lookup_dcookie: [212, 18],
  // Opens a file by its inode, past every mount that hides it; watches whole file systems.
  open_by_handle_at: [304, 265], name_to_handle_at: [303, 264], fanotify_init: [300, 262],
  // Replaces the kernel or parts of it.
  init_module: [175, 105], finit_module: [313, 273], delete_module: [176, 106],
  kexec_load: [246, 104], kexec_file_load: [320, 294],
  // Changes the whole machine: its power, swap, accounts, quotas, ports, names, clock, terminals.
  reboot: [169, 142], swapon: [167, 224], swapoff: [168, 225], acct: [163, 89],
  quotactl: [179, 60], quotactl_fd: [443, 443], nfsservctl: [180, 42], iopl: [172, null],
  ioperm: [173, null], sethostname: [170, 161], setdomainname: [171, 162], vhangup: [153, 58],
  settimeofday: [164, 170], clock_settime: [227, 112], clock_adjtime: [305, 266],
  adjtimex: [159, 171],
  // Reads the kernel's log, and with it the kernel's addresses.
  syslog: [103, 116],
};

/** Calls that are refused with ENOSYS, as an older kernel does, so that programs fall back. */
// biome-ignore format: one attack, one group
export const ABSENT: Readonly<Record<string, Numbers>> = {
  // Its flags lie in memory, where a filter cannot see them. C libraries fall back to `clone`.
  clone3: [435, 435],
  // Does the work of other calls without making them. Many kernel exploits have used it.
  io_uring_setup: [425, 425], io_uring_enter: [426, 426], io_uring_register: [427, 427],
  // Keeps memory policies for files, which no control group counts.
  mbind: [237, 235], set_mempolicy_home_node: [450, 450],
};

/**
 * Calls that are refused with EOPNOTSUPP, as a file system without such attributes does. They could
 * give each file an access list of 64 KiB, which no control group counts.
 */
// biome-ignore format: one attack, one group
export const UNSUPPORTED: Readonly<Record<string, Numbers>> = {
  setxattr: [188, 5], lsetxattr: [189, 6], fsetxattr: [190, 7], setxattrat: [463, 463],
};

/** Calls that are refused or allowed by their arguments. */
export const CHECKED = {
  clone: [56, 220],
  ioctl: [16, 29],
  personality: [135, 92],
  socket: [41, 198],
  socketpair: [53, 199],
  mmap: [9, 222],
  memfd_create: [319, 279],
  shmget: [29, 194],
} as const satisfies Record<string, Numbers>;

// Error numbers of `asm-generic/errno.h`.
const EPERM = 1;
const ENOMEM = 12;
const ENOSYS = 38;
const EPROTONOSUPPORT = 93;
const EOPNOTSUPP = 95;
const EAFNOSUPPORT = 97;

/**
 * `MAP_HUGETLB`, `MFD_HUGETLB` and `SHM_HUGETLB`. The operator reserved huge pages for other
 * programs, and the memory of a control group does not include them.
 */
const HUGE_PAGES = { mmap: 0x40000, memfd_create: 0x4, shmget: 0o4000 };

/**
 * `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID` and `NEWNET` of
 * `linux/sched.h`. `clone` has no flag `NEWTIME`.
 */
const NEW_NAMESPACES =
  0x00020000 | 0x02000000 | 0x04000000 | 0x08000000 | 0x10000000 | 0x20000000 | 0x40000000;
/**
 * `TIOCSTI`, `TIOCLINUX` and `TIOCSETD` of `asm-generic/ioctls.h`. The first two put input into a
 * terminal, such as the one in which the server was started. The third has the kernel load line
 * disciplines, which are rarely used and rarely tested.
 */
const TERMINAL_CONTROL = [0x5412, 0x541c, 0x5423];
/**
 * `PER_LINUX`, and the query of the current one. Other personalities switch address randomisation
 * off or make memory executable.
 */
const PERSONALITIES = [0, 0xffffffff];
const AF_UNIX = 1;
/**
 * `AF_UNIX`, `AF_INET` and `AF_INET6`. The filter refuses `AF_NETLINK`, because no control group
 * counts the gigabytes that its sockets can hold unread. It refuses `AF_VSOCK`, because no network
 * namespace confines it; and `AF_PACKET`, `AF_ALG` and rarer families.
 */
const FAMILIES = [AF_UNIX, 2, 10];
/** The bits of a socket's type that are not flags. */
const SOCKET_TYPE = 0xf;
/**
 * 0 for the family's own, ICMP, TCP, UDP and ICMPv6. Others, such as UDP-Lite (136), SCTP (132) and
 * MPTCP (262), are rarely used and rarely tested parts of the kernel.
 */
const PROTOCOLS = [0, 1, 6, 17, 58];
/** The type that turns an `AF_INET` socket into an `AF_PACKET` one. */
const SOCK_PACKET = 10;

/** `AUDIT_ARCH_X86_64`, `AUDIT_ARCH_AARCH64` of `linux/audit.h`. */
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 };
/** `__X32_SYSCALL_BIT`: x32 has the same `AUDIT_ARCH_X86_64`, but call numbers of its own. */
const X32 = 0x40000000;

export type SeccompArch = keyof typeof AUDIT;

/** The filter's architecture for a `process.arch`; undefined where there is no filter. */
export function seccompArch(arch: string): SeccompArch | undefined {
  return arch === "x64" || arch === "arm64" ? arch : undefined;
}

/** One `struct sock_filter` of `linux/filter.h`. A jump skips that many instructions. */
type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

// Offsets in `struct seccomp_data`, of which a program loads 32 bits at a time.
const NUMBER = 0;
const ARCH = 4;
/**
 * The offset of an argument's low half. The kernel reads no more of the arguments that are checked
 * here, so the high half must not matter.
 */
const argument = (index: number) => 16 + 8 * index;

const load = (offset: number): Instruction => [0x20, 0, 0, offset];
const mask = (bits: number): Instruction => [0x54, 0, 0, bits];
const answer = (k: number): Instruction => [0x06, 0, 0, k];
const ALLOW = answer(0x7fff0000);
const KILL = answer(0x80000000);
const refuse = (errno: number) => answer(0x00050000 | errno);

// A condition jumps over its own block only: a jump has 8 bits.
const condition =
  (code: number) =>
  (k: number, ...block: Instruction[]): Instruction[] => [[code, 0, block.length, k], ...block];
const ifEqual = condition(0x15);
const ifAnyBit = condition(0x45);
const ifOneOf = (values: readonly number[], block: Instruction) =>
  values.flatMap((value) => ifEqual(value, block));
/** Jumps over the answer from each value that is equal. */
const ifNoneOf = (values: readonly number[], block: Instruction) => [
  ...values.map((value, index): Instruction => [0x15, values.length - index, 0, value]),
  block,
];
const unlessEqual = (k: number, ...block: Instruction[]): Instruction[] => [
  [0x15, block.length, 0, k],
  ...block,
];

/**
 * The filter as `bwrap --seccomp FD` reads it: classic BPF, an array of `struct sock_filter` in
 * little endian.
 */
export function seccompProgram(arch: SeccompArch): Buffer {
  const column = arch === "x64" ? 0 : 1;
  const each = (calls: Readonly<Record<string, Numbers>>, errno: number) =>
    ifOneOf(
      Object.values(calls).flatMap(({ [column]: number }) => number ?? []),
      refuse(errno),
    );
  const checked = (call: keyof typeof CHECKED, ...block: Instruction[]) =>
    ifEqual(CHECKED[call][column], ...block);
  const huge = (call: keyof typeof HUGE_PAGES, flags: number) =>
    checked(call, load(argument(flags)), ...ifAnyBit(HUGE_PAGES[call], refuse(ENOMEM)), ALLOW);
  const program: Instruction[] = [
    // The calls of another architecture, such as `int 0x80`, have other numbers, which would pass.
    load(ARCH),
    ...unlessEqual(AUDIT[arch], KILL),
    load(NUMBER),
    ...(arch === "x64" ? ifAnyBit(X32, refuse(EPERM)) : []),
    ...each(REFUSED, EPERM),
    ...each(ABSENT, ENOSYS),
    ...each(UNSUPPORTED, EOPNOTSUPP),
    ...checked("clone", load(argument(0)), ...ifAnyBit(NEW_NAMESPACES, refuse(EPERM)), ALLOW),
    ...checked("ioctl", load(argument(1)), ...ifOneOf(TERMINAL_CONTROL, refuse(EPERM)), ALLOW),
    ...checked("personality", load(argument(0)), ...ifOneOf(PERSONALITIES, ALLOW), refuse(EPERM)),
    ...checked(
      "socket",
      load(argument(1)),
      mask(SOCKET_TYPE),
      ...ifEqual(SOCK_PACKET, refuse(EAFNOSUPPORT)),
      load(argument(0)),
      ...ifNoneOf(FAMILIES, refuse(EAFNOSUPPORT)),
      load(argument(2)),
      ...ifOneOf(PROTOCOLS, ALLOW),
      refuse(EPROTONOSUPPORT),
    ),
    ...huge("mmap", 3),
    ...huge("memfd_create", 1),
    ...huge("shmget", 2),
    ...checked("socketpair", load(argument(0)), ...ifEqual(AF_UNIX, ALLOW), refuse(EAFNOSUPPORT)),
    ALLOW,
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, k], index) => {
    const at = index * 8;
    bytes.writeUInt16LE(code, at);
    bytes.writeUInt8(ifTrue, at + 2);
    bytes.writeUInt8(ifFalse, at + 3);
    bytes.writeUInt32LE(k, at + 4);
  });
  return bytes;
}
