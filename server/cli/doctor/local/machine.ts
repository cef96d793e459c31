/** The checks of this machine, for the member that the options describe. */
import { messageOf } from "../../../../openapi/errors.ts";
import { Client } from "../../../../sdk/typescript/http/client.ts";
import { MEMBER_DOMAIN, NodeTransport } from "../../../../sdk/typescript/node/transport.ts";
import { openTls } from "../../../http/tls.ts";
import { settingsOf } from "../../../member/check-options.ts";
import { fileFaults } from "../../../member/options/file-faults.ts";
import { keyOfPath, type MemberOptions } from "../../../member/options.ts";
import { selfOf } from "../../../member/self.ts";
import { flagOf } from "../../options/values.ts";
import { clockFinding } from "../clock.ts";
import { type Check, type Finding, failed, ok } from "../finding.ts";
import { certificateFindings } from "./certificates.ts";
import { checkConsul } from "./consul.ts";
import { descriptorFinding } from "./descriptors.ts";
import { askMembers } from "./members.ts";
import { portFinding } from "./port.ts";
import { sandboxCheck } from "./sandbox.ts";
import { memoryFinding, temporaryFinding } from "./space.ts";
import { tokenFinding } from "./tokens.ts";

/** 20 seconds for Consul and the members that it lists, which are asked one after the other. */
const CONSUL_MS = 20_000;

/** @param isNamed whether a Consul, a file or a pool is named, as for `serve`, which needs one. */
export function machineChecks(options: MemberOptions, isNamed: boolean): Check[] {
  const settings = settingsOf(options);
  const address = { address: settings.host, family: "IPv4", port: settings.port };
  const self = selfOf(settings, address, "full");
  const client = clientOf(options);
  const { consul } = options;
  return [
    // The entry of the command line refuses a Node that is too old; `.dev/command-line.mjs` has it.
    { name: "node", run: () => [ok("node", process.versions.node)] },
    { name: "configuration", run: () => configurationFindings(options) },
    sandboxCheck(settings),
    { name: "port", run: async () => [await portFinding(settings, self, client)] },
    { name: "token file", run: () => [tokenFinding(options)] },
    { name: "certificate", run: () => certificateFindings(options.tls, self.name) },
    { name: "descriptors", run: () => [descriptorFinding(settings)] },
    { name: "temporary folder", run: () => [temporaryFinding(settings)] },
    { name: "memory", run: () => [memoryFinding(settings)] },
    {
      name: "consul",
      timeoutMs: CONSUL_MS,
      run: async () => {
        if (!consul) return [];
        const found = await checkConsul(consul, self, isNamed);
        const { finding, offsets } = await askMembers(found.members, self, client);
        return [...found.findings, finding, clockFinding([...found.offsets, ...offsets])];
      },
    },
  ];
}

/** The client by which the member would ask others. Its certificates have a check of their own. */
function clientOf({ tls }: MemberOptions): Client {
  try {
    const files = openTls(tls, () => {});
    files?.close();
    return new Client(new NodeTransport(files?.client, tls?.memberDomain ?? MEMBER_DOMAIN));
  } catch {
    return new Client(new NodeTransport());
  }
}

/** The files and folders that options name, beside those with a check of their own. */
function configurationFindings(options: MemberOptions): Finding[] {
  const name = "configuration";
  const others = { ...options, tls: undefined, tokenFile: undefined };
  try {
    const faults = fileFaults(others, () => {}).map(({ path, message }) => {
      const [first = "", ...rest] = path.map(String);
      const key = keyOfPath(first);
      return rest.length > 0
        ? `${[key, ...rest].join(".")}: ${message}`
        : `--${flagOf(key)}: ${message}`;
    });
    if (faults.length === 0) return [ok(name, `pools ${Object.keys(options.pools).join(", ")}`)];
    const cure = { cure: "mend the option or its file; dpool check-config FILE tells the line" };
    return faults.map((fault) => failed(name, fault, cure));
  } catch (error) {
    return [failed(name, messageOf(error), { cure: "mend the option" })];
  }
}
