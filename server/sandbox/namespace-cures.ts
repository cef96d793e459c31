/** The ways to let bubblewrap make user namespaces, by the switch that forbids them. */
import { existsSync, readFileSync } from "node:fs";

/** A remedy: a text for a person, and a command where one does it. */
export interface Cure {
  readonly text: string;
  /** Shell commands for root. */
  readonly command?: string;
}

/** Reads a file of the kernel; undefined where there is no such file. */
export type Setting = (file: string) => string | undefined;

/** The contents of a file of this machine's kernel; undefined where there is no such file. */
export const readSetting: Setting = (file) =>
  existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;

/** Whether AppArmor lets only programs with a profile make user namespaces. */
export const isRestrictedByAppArmor = (setting: Setting = readSetting): boolean =>
  setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") === "1";

/**
 * Ubuntu's way to let one program make user namespaces: "Unprivileged user namespace restrictions
 * via AppArmor in Ubuntu 23.10", https://discourse.ubuntu.com/t/37626
 */
const APPARMOR: Cure = {
  text:
    "Ubuntu keeps programs from making user namespaces by AppArmor. " +
    "Allow it to bubblewrap alone, as root",
  command: `cat >/etc/apparmor.d/bwrap <<'EOF'
abi <abi/4.0>,
include <tunables/global>
profile bwrap /usr/bin/bwrap flags=(unconfined) {
  userns,
  include if exists <local/bwrap>
}
EOF
  apparmor_parser -r /etc/apparmor.d/bwrap`,
};

const off = (assignment: string): Cure => ({
  text: "User namespaces are switched off. As root",
  command: `sysctl -w ${assignment}`,
});

/**
 * The remedy where no user namespace can be made, the kernel's own switches first; undefined where
 * none is known.
 *
 * @param setting reads a file of the kernel. Default: from this machine.
 */
export function namespaceCure(setting: Setting = readSetting): Cure | undefined {
  if (isRestrictedByAppArmor(setting)) return APPARMOR;
  if (setting("/proc/sys/kernel/unprivileged_userns_clone") === "0")
    return off("kernel.unprivileged_userns_clone=1");
  if (setting("/proc/sys/user/max_user_namespaces") === "0")
    return off("user.max_user_namespaces=10000");
  if (setting("/.dockerenv") !== undefined)
    return {
      text:
        "In a container: run it with --security-opt seccomp=unconfined " +
        "--security-opt apparmor=unconfined --security-opt systempaths=unconfined",
    };
  return undefined;
}
