/** Opens a member's sandbox, and tries attacks in it before it admits children. */
import { messageOf, PoolError } from "../../openapi/errors.ts";
import { Bubblewrap } from "./bubblewrap.ts";
import type { Confinement } from "./confinement.ts";
import { shownParts } from "./etc.ts";
import { NoSandbox } from "./none.ts";
import { probeSandbox } from "./probe.ts";
import type { Sandbox } from "./sandbox.ts";

/** The remedies where no groups can be made, from https://systemd.io/CGROUP_DELEGATION/. */
export const NO_CGROUP = `Limits on a whole child need a cgroup that this server may divide:
  as a service: Delegate=yes in its unit
  by hand, as an ordinary user: systemd-run --user --scope -p Delegate=yes dpool ...
  in a container: docker run --security-opt writable-cgroups=true (Docker 28 or newer), \
or podman run --security-opt unmask=/sys/fs/cgroup
All that is missing, each with its cure: dpool doctor
To do without them, with limits on each process only: --sandbox no-cgroup`;

/** The last remedies. */
const WITHOUT = `All that is missing, each with its cure: dpool doctor
Without a sandbox, on a machine and with callers that you trust: --sandbox off`;

/** Probes of this process by level and confinement: the machine does not change meanwhile. */
const probes = new Map<string, Promise<void>>();

/** The default `PATH` in which programs are looked for. */
export const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

export interface SandboxOptions {
  /**
   * `auto`: bubblewrap with control groups; `no-cgroup`: without them; `off`: no sandbox. Default
   * `auto`.
   */
  readonly sandbox?: "auto" | "no-cgroup" | "off" | undefined;
  /** `PATH` of children without a sandbox. Default {@link DEFAULT_PATH}. */
  readonly path?: string | undefined;
  /** Receives why a child could not be started. Default: nothing. */
  readonly logError?: ((message: string) => void) | undefined;
  /** Receives which parts of the host's `/etc` children see. Default: nothing. */
  readonly log?: ((level: "info", message: string) => void) | undefined;
}

/**
 * Opens the sandbox. It is proven by {@link probeConfinements}, under each pool's confinement.
 *
 * @throws {PoolError} `sandbox_unavailable` with the remedy.
 */
export function openSandbox({
  sandbox = "auto",
  path = DEFAULT_PATH,
  logError = () => {},
  log = () => {},
}: SandboxOptions): Sandbox {
  if (sandbox === "off") return new NoSandbox(path, logError);
  try {
    const opened = new Bubblewrap(sandbox === "auto" ? "full" : "no-cgroup", logError);
    log("info", `children see these parts of /etc, read-only: ${shownParts().join(" ")}`);
    return opened;
  } catch (error) {
    const text = messageOf(error);
    throw PoolError.of(
      "sandbox_unavailable",
      text.includes("cgroup") ? `${text}\n${NO_CGROUP}` : `${text}\n${WITHOUT}`,
      { cause: error },
    );
  }
}

/**
 * Tries the attacks in each confinement that was not probed yet.
 *
 * @throws {PoolError} `sandbox_unavailable` where an attack succeeds.
 */
export async function probeConfinements(
  sandbox: Sandbox,
  confinements: readonly Confinement[],
): Promise<void> {
  if (sandbox.level === "none") return;
  for (const confinement of confinements) {
    const key = JSON.stringify([sandbox.level, confinement]);
    const probe = probes.get(key) ?? probeSandbox(sandbox, confinement);
    probes.set(key, probe);
    await probe.catch((error: unknown) => {
      probes.delete(key);
      throw PoolError.of("sandbox_unavailable", `${messageOf(error)}\n${WITHOUT}`, {
        cause: error,
      });
    });
  }
}
