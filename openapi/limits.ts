/** What a child may use, how it is held, and how long it may wait and run. */
import { z } from "@hono/zod-openapi";

/** A day: beyond it a wait is most likely a mistake of units. */
export const MAX_WAIT_MS = 86_400_000;

/** A week: beyond it a deadline is most likely a mistake of units. */
export const MAX_DEADLINE_MS = 604_800_000;

export const LimitsSchema = z
  .strictObject({
    memoryBytes: z.int().min(16_777_216).openapi({
      description:
        "Memory of all its processes together, its workspace and temporary files included; no swap. Beyond it everything is killed: `out_of_memory`.",
    }),
    processes: z
      .int()
      .min(32)
      .max(32_768)
      .openapi({ description: "Processes and threads at a time. Node alone takes 11." }),
    cpus: z
      .number()
      .min(0.01)
      .openapi({ description: "Share of the processors: 1.5 is one and a half of them." }),
    cpuMs: z.int().min(1).openapi({
      description:
        "Processor time of all its processes together, in milliseconds. Beyond it: `deadline_exceeded`.",
    }),
    workspaceBytes: z
      .int()
      .min(65_536)
      .openapi({ description: "Size of the workspace, and of its largest file." }),
    openFiles: z.int().min(32).openapi({ description: "Open descriptors of each process." }),
    outputBytes: z.int().min(0).openapi({
      description:
        "Bytes of stdout and stderr together. Beyond it the child is stopped: `payload_too_large`.",
    }),
    artifactBytes: z.int().min(0).openapi({ description: "Bytes of all artifacts together." }),
  })
  .partial()
  .openapi("Limits", {
    description:
      "Tighter limits than the pool's own. Asking for more than the pool allows is `invalid_request`.",
  });

export type Limits = z.infer<typeof LimitsSchema>;

/** What a child is held by, the strongest first. */
export const SANDBOX_LEVELS = ["full", "no-cgroup", "none"] as const;

export const SandboxLevelSchema = z.enum(SANDBOX_LEVELS).openapi("SandboxLevel", {
  description:
    "`full`: namespaces, seccomp filter and cgroup. `no-cgroup`: no limits on memory and cpu of the whole child. `none`: a plain process.",
});

export type SandboxLevel = z.infer<typeof SandboxLevelSchema>;

/** Whether a level is at least as strong as the one demanded. */
export function isAtLeast(level: SandboxLevel, demanded: SandboxLevel): boolean {
  return SANDBOX_LEVELS.indexOf(level) <= SANDBOX_LEVELS.indexOf(demanded);
}
