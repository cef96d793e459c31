/** Opens a member's sandbox, and proves that it holds before children are put into it. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { Bubblewrap } from "./bubblewrap.ts";
import type { Confinement } from "./confinement.ts";
import { NoSandbox } from "./none.ts";
import { probeSandbox } from "./probe.ts";
import type { Sandbox } from "./sandbox.ts";

/** What to do where no groups can be made; the ways of https://systemd.io/CGROUP_DELEGATION/. */
const NO_CGROUP = `Limits on a whole child need a cgroup that this server may divide:
  as a service: Delegate=yes in its unit
  by hand, as an ordinary user: systemd-run --user --scope -p Delegate=yes dpool ...
  in a container: docker run --security-opt writable-cgroups=true (Docker 28 or newer), or podman run --security-opt unmask=/sys/fs/cgroup
To do without them, with limits on each process only: --sandbox no-cgroup`;

/** What has been proven in this process; the machine does not change under it. */
const proven = new Map<string, Promise<void>>();

/** Where programs are looked for unless said otherwise. */
export const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

export interface SandboxOptions {
  /** `auto`, the default, is bubblewrap with control groups, `no-cgroup` without; `off` is none. */
  readonly sandbox?: "auto" | "no-cgroup" | "off" | undefined;
  /** `PATH` of children without a sandbox. */
  readonly path?: string | undefined;
}

/**
 * Opens the sandbox, proven in each of these confinements.
 *
 * @throws {PoolError} `sandbox_unavailable` with what to do about it.
 */
export async function openSandbox(
  { sandbox = "auto", path = DEFAULT_PATH }: SandboxOptions,
  confinements: readonly Confinement[],
): Promise<Sandbox> {
  if (sandbox === "off") return new NoSandbox(path);
  let opened: Sandbox;
  try {
    opened = new Bubblewrap(sandbox === "auto" ? "full" : "no-cgroup");
  } catch (error) {
    const text = messageOf(error);
    throw PoolError.of(
      "sandbox_unavailable",
      text.includes("cgroup") ? `${text}\n${NO_CGROUP}` : `${text}\n${WITHOUT}`,
      { cause: error },
    );
  }
  try {
    await prove(opened, confinements);
    return opened;
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** Tries the attacks in each confinement that was not proven yet. @throws {PoolError} `sandbox_unavailable` */
export async function prove(sandbox: Sandbox, confinements: readonly Confinement[]): Promise<void> {
  if (sandbox.level === "none") return;
  for (const confinement of confinements) {
    const key = JSON.stringify([sandbox.level, confinement]);
    const probe = proven.get(key) ?? probeSandbox(sandbox, confinement);
    proven.set(key, probe);
    await probe.catch((error: unknown) => {
      proven.delete(key);
      throw PoolError.of("sandbox_unavailable", `${messageOf(error)}\n${WITHOUT}`, {
        cause: error,
      });
    });
  }
}

const WITHOUT = "Without a sandbox, on a machine and with callers that you trust: --sandbox off";
