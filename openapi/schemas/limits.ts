/** Limits and sizes of a child: resources, the level of its sandbox, and its terminal. */
import { z } from "@hono/zod-openapi";
import { SANDBOX_LEVELS } from "../limits.ts";
import { whole } from "./values.ts";

export const LimitsSchema = z
  .strictObject({
    memoryBytes: whole()
      .min(16_777_216)
      .describe(
        "Memory of all processes of the child together in bytes, without swap. Its workspace and " +
          "temporary files count. A child that takes more is killed: `out_of_memory`.",
      ),
    processes: z
      .int()
      .min(32)
      .max(32_768)
      .describe("Processes and threads at the same time. Node alone takes 11."),
    cpus: z
      .number()
      .min(0.01)
      .describe("Share of the processors: 1.5 is one and a half processors."),
    cpuMs: whole()
      .min(1)
      .describe(
        "Milliseconds of processor time of all processes of the child together. A child that " +
          "takes more is stopped: `deadline_exceeded`.",
      ),
    workspaceBytes: whole()
      .min(65_536)
      .describe(
        "Bytes of the workspace. A file may be as large as it, or as `shmBytes` if that is more.",
      ),
    shmBytes: whole()
      .min(65_536)
      .describe(
        "Bytes of shared memory in `/dev/shm`, which count as the child's memory. Writing more " +
          "fails with ENOSPC, and ends a program that has mapped it with SIGBUS. Default: half " +
          "of `memoryBytes`.",
      ),
    openFiles: whole().min(32).describe("Open file descriptors of each process."),
    outputBytes: whole()
      .min(0)
      .describe(
        "Bytes of stdout and stderr together. A child that writes more is stopped: " +
          "`payload_too_large`.",
      ),
    artifactBytes: whole().min(0).describe("Bytes of all artifacts together."),
  })
  .partial()
  .openapi("Limits", {
    description:
      "Limits of a child that are tighter than the pool's own, which are the defaults. A request " +
      "for more than the pool allows is `invalid_request`.",
    example: { memoryBytes: 268_435_456, cpus: 0.5 },
  });

export type Limits = z.infer<typeof LimitsSchema>;

export const SandboxLevelSchema = z.enum(SANDBOX_LEVELS).openapi("SandboxLevel", {
  description:
    "The level of a sandbox. `full`: namespaces, a seccomp filter and a cgroup. `no-cgroup`: the " +
    "same without limits on memory and processor time of the whole child. `none`: a plain " +
    "process.",
  example: "full",
});

/** 4,096 rows or columns: more than any screen has, and little memory for a program. */
const size = (what: string) => z.int().min(1).max(4_096).describe(`The number of ${what}.`);

export const TerminalSizeSchema = z
  .strictObject({ rows: size("rows"), columns: size("columns") })
  .openapi("TerminalSize", {
    description: "The size of a terminal's window, in characters.",
    example: { rows: 24, columns: 80 },
  });

export type TerminalSize = z.output<typeof TerminalSizeSchema>;
