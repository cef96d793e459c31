/** Warns the operator, at the start of a member. */
import { addressOf } from "../../sdk/typescript/node/consul/consul-options.ts";
import { MEMBER_DOMAIN } from "../../sdk/typescript/node/transport.ts";
import type { Member } from "../../sdk/typescript/placement/members.ts";
import { isLoopback, isReadable } from "../../sdk/typescript/trust/loopback.ts";
import type { TlsFiles } from "../http/tls.ts";
import { firstProcessTrouble } from "../sandbox/first-process.ts";
import type { Settings } from "./check-options.ts";

/** Warns where the others would not ask this member, because of its certificate. */
function warnOfName(files: TlsFiles | undefined, { tls, log }: Settings, { name }: Member): void {
  const identity = `${name}.${tls?.memberDomain ?? MEMBER_DOMAIN}`;
  const check = () => {
    const fault = files?.faultFor(identity);
    if (fault === undefined) return;
    const certificate = `the certificate ${tls?.certFile} is not for ${identity}`;
    log("warn", `${certificate}, so other members do not ask this one: ${fault}`);
  };
  check();
  files?.onChange(check);
}

/** Warns of a certificate that no caller takes, because of its dates. */
function warnOfDates(files: TlsFiles | undefined, { tls, log }: Settings): void {
  const check = () => {
    const { staleness } = files ?? {};
    if (staleness !== undefined) log("warn", `the certificate ${tls?.certFile} ${staleness}`);
  };
  check();
  files?.onChange(check);
}

/**
 * Warns of options that give up protection, and of a certificate that the others refuse.
 *
 * @param authenticated whether callers need a token.
 */
export function warnOfRisks(
  settings: Settings,
  self: Member,
  {
    files,
    authenticated,
  }: { readonly files: TlsFiles | undefined; readonly authenticated: boolean },
): void {
  const { host, consul, log } = settings;
  const { url, sandbox } = self;
  warnOfName(files, settings, self);
  warnOfDates(files, settings);
  const warn = (message: string) => log("warn", message);
  const trouble = firstProcessTrouble();
  if (trouble !== undefined) warn(trouble);
  if (sandbox === "no-cgroup")
    warn(
      "without control groups: nothing limits the memory and cpu of a whole child, " +
        "only of each of its processes",
    );
  if (sandbox === "none")
    warn("the sandbox is off: children are plain processes with this server's rights");
  if (!isLoopback(host) && !authenticated)
    warn(
      `listening on ${host} without authentication (--insecure): ` +
        "whoever reaches this port runs programs here",
    );
  if (authenticated && isReadable(url))
    warn(`serving ${url} without TLS: others on the network can read callers' tokens`);
  if (consul?.token !== undefined && isReadable(addressOf(consul).href))
    warn(`Consul at ${consul.address} is asked over http: others can read its token`);
}
