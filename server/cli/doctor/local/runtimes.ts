/** Looks for the programs that run functions, in the sandbox of each pool. */
import type { Settings } from "../../../member/check-options.ts";
import { confinementOf } from "../../../member/pool-rules.ts";
import { StartQueue } from "../../../runtimes/functions/start-queue.ts";
import { RuntimeRegistry } from "../../../runtimes/registry/runtime-registry.ts";
import type { Sandbox } from "../../../sandbox/sandbox.ts";
import { type Finding, ok, skipped, warning } from "../finding.ts";
import { installing } from "./packages.ts";

const NAME = "runtimes";

export async function runtimeFindings(settings: Settings, sandbox: Sandbox): Promise<Finding[]> {
  const { path, pools, runtimes: configured = {} } = settings;
  const startQueue = new StartQueue();
  const findings: Finding[] = [];
  const complete: string[] = [];
  for (const [pool, options] of pools) {
    const confinement = confinementOf(options);
    const registry = await RuntimeRegistry.open({
      ...{ sandbox, confinement, path, configured, startQueue },
    });
    await registry.close();
    const missing = missingIn(registry, pool, settings);
    findings.push(...missing);
    if (missing.length === 0) complete.push(`${pool}: ${registry.names.join(", ") || "commands"}`);
  }
  const found = complete.length > 0 ? [ok(NAME, complete.join("; "))] : [];
  return pools.size === 0 ? [skipped(NAME, "there is no pool")] : [...found, ...findings];
}

function missingIn(registry: RuntimeRegistry, pool: string, settings: Settings): Finding[] {
  const { runtimes: configured = {}, pools } = settings;
  const options = pools.get(pool);
  const findings: Finding[] = [];
  // A pool with a list of commands runs no function, and a root brings its own programs.
  const hasFunctions = options?.commands === undefined;
  const where = options?.root === undefined ? "" : ` in ${options.root}`;
  if (hasFunctions && !registry.names.includes("python"))
    findings.push(
      warning("python", `pool ${pool} runs no Python functions: no python3 of 3.8 or newer`, {
        cure: `install Python${where}, as root:`,
        command: where === "" ? installing(["python3"]) : undefined,
      }),
    );
  if (!registry.hasTerminals && settings.sandbox !== "off")
    findings.push(
      warning("terminals", `pool ${pool} has no terminals (-t): perl is missing`, {
        cure: `install perl${where}, as root:`,
        command: where === "" ? installing(["perl-base"]) : undefined,
      }),
    );
  for (const [name, { command }] of Object.entries(configured))
    if (hasFunctions && !registry.names.includes(name))
      findings.push(
        warning(NAME, `pool ${pool} does not find ${command[0]} of runtime ${name}`, {
          cure: `install ${command[0]}, or take ${name} out of runtimes in the configuration file`,
        }),
      );
  return findings;
}
