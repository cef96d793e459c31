/** Checks what the sandbox needs, from its programs up to attacks in it. */
import { messageOf } from "../../../../openapi/errors.ts";
import type { Settings } from "../../../member/check-options.ts";
import { confinementOf } from "../../../member/pool-rules.ts";
import {
  bubblewrapVersion,
  missingPrograms,
  namespaceFault,
  tryCgroups,
} from "../../../sandbox/machine.ts";
import {
  isRestrictedByAppArmor,
  namespaceCure,
  readSetting,
} from "../../../sandbox/namespace-cures.ts";
import { NO_CGROUP, openSandbox, probeConfinements } from "../../../sandbox/open-sandbox.ts";
import type { Sandbox } from "../../../sandbox/sandbox.ts";
import { seccompArch } from "../../../sandbox/seccomp.ts";
import { type Check, type Finding, failed, ok, skipped, warning } from "../finding.ts";
import { installing } from "./packages.ts";
import { runtimeFindings } from "./runtimes.ts";

/** 60 seconds: each pool's attacks take up to 10 where the sandbox does not answer. */
const TIMEOUT_MS = 60_000;

/** The checks, each of which needs those before it. */
const STEPS = [
  ["bubblewrap", bubblewrap],
  ["user namespaces", userNamespaces],
  ["seccomp", seccomp],
  ["cgroups", cgroups],
] as const;

/** The names of the checks that need a sandbox. */
const LAST = ["sandbox", "runtimes"];

export function sandboxCheck(settings: Settings): Check {
  return { name: "sandbox", timeoutMs: TIMEOUT_MS, run: () => sandboxFindings(settings) };
}

async function sandboxFindings(settings: Settings): Promise<Finding[]> {
  if (settings.sandbox === "off" || process.platform !== "linux") return inSandbox(settings);
  const findings: Finding[] = [];
  for (const [name, look] of STEPS) {
    const faulty = findings.find(({ status }) => status === "failed");
    findings.push(faulty ? skipped(name, `needs ${faulty.name}`) : await look(name, settings));
  }
  const faulty = findings.find(({ status }) => status === "failed");
  if (faulty) return [...findings, ...LAST.map((name) => skipped(name, `needs ${faulty.name}`))];
  return [...findings, ...(await inSandbox(settings))];
}

/** Opens the sandbox, tries attacks in it, and looks for the runtimes of each pool. */
async function inSandbox({ path, pools, ...settings }: Settings): Promise<Finding[]> {
  let sandbox: Sandbox | undefined;
  let reason = "";
  const logError = (message: string) => {
    reason = message;
  };
  const level = process.platform === "linux" ? settings.sandbox : "off";
  try {
    sandbox = openSandbox({ path, sandbox: level, logError });
    await probeConfinements(sandbox, [...pools.values()].map(confinementOf));
    const runtimes = await runtimeFindings({ path, pools, ...settings }, sandbox);
    return [levelFinding(sandbox, settings), ...runtimes];
  } catch (error) {
    const [first = "", ...remedies] = messageOf(error).split("\n");
    const detail = reason === "" || first.includes(reason) ? first : `${first}; ${reason}`;
    const cure = remedies.join("\n") || "mend the reason above";
    return [failed("sandbox", detail, { cure }), skipped("runtimes", "needs sandbox")];
  } finally {
    await sandbox?.close();
  }
}

function levelFinding({ level }: Sandbox, { sandbox }: Pick<Settings, "sandbox">): Finding {
  if (level !== "none") return ok("sandbox", `${level}; the attacks of a child fail in it`);
  if (sandbox !== "off")
    return failed("sandbox", `there is none for ${process.platform}`, {
      cure: "on this machine, with callers that you trust: --sandbox off",
    });
  return warning("sandbox", "off: children are plain processes with the member's rights", {
    cure: "leave out --sandbox off, unless you trust this machine and all callers",
  });
}

async function bubblewrap(name: string): Promise<Finding> {
  const missing = missingPrograms();
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(({ from }) => from))];
    const programs = missing.map(({ program }) => program).join(", ");
    return failed(name, `missing: ${programs}`, {
      cure: `install ${packages.join(", ")}, as root:`,
      command: installing(packages),
    });
  }
  try {
    return ok(name, await bubblewrapVersion());
  } catch (error) {
    const message = messageOf(error);
    const isSetuid = message.includes("is setuid");
    const command = isSetuid ? /chmod u-s \S+/.exec(message)?.[0] : installing(["bubblewrap"]);
    const cure = isSetuid ? "take the setuid bit away, as root:" : "install a newer one, as root:";
    return failed(name, message, { cure, command });
  }
}

async function userNamespaces(name: string): Promise<Finding> {
  const fault = await namespaceFault();
  if (fault === undefined)
    return ok(name, isRestrictedByAppArmor() ? "AppArmor lets bubblewrap make them" : "allowed");
  const { text, command } = namespaceCure() ?? {
    text: "let bubblewrap make user namespaces; a container or a policy of this machine forbids it",
  };
  return failed(isRestrictedByAppArmor() ? "apparmor" : name, fault, {
    cure: command === undefined ? text : `${text}:`,
    command,
  });
}

function seccomp(name: string): Finding {
  if (seccompArch(process.arch) === undefined)
    return failed(name, `there is no filter for ${process.arch}`, {
      cure: "run the member on x64 or arm64",
    });
  const actions = readSetting("/proc/sys/kernel/seccomp/actions_avail") ?? "";
  return actions.includes("errno")
    ? ok(name, "the kernel has filters")
    : failed(name, "the kernel has no filters", {
        cure: "use a kernel with CONFIG_SECCOMP_FILTER, as those of all distributions",
      });
}

function cgroups(name: string, { sandbox }: Settings): Finding {
  if (sandbox === "no-cgroup")
    return warning(name, "without them, nothing limits the memory and cpu of a whole child", {
      cure: "leave out --sandbox no-cgroup where this machine can have them",
    });
  try {
    return ok(name, `version ${tryCgroups()}`);
  } catch (error) {
    return failed(name, messageOf(error), { cure: NO_CGROUP });
  }
}
