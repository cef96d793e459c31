/** The remedies that a member prints when its sandbox does not hold. */
import { describe, expect, test } from "vitest";
import { remedies } from "../../server/sandbox/probe.ts";

const APPARMOR = "/proc/sys/kernel/apparmor_restrict_unprivileged_userns";
const CLONE = "/proc/sys/kernel/unprivileged_userns_clone";
const MAX = "/proc/sys/user/max_user_namespaces";
const DOCKER = "/.dockerenv";

const NO_NAMESPACE =
  "bwrap: No permissions to create new namespace, likely because the kernel " +
  "does not allow non-privileged user namespaces.";
const said = (detail: string, files: Readonly<Record<string, string>> = {}) =>
  remedies(detail, (file) => files[file]).join("\n");

describe("remedies", () => {
  test.each([
    "spawn setpriv ENOENT",
    "prlimit: failed to execute bwrap: No such file or directory: not found",
    "sh: 1: exec: setpriv: not found",
  ])("%s: the packages to install", (detail) => {
    expect(said(detail, { [APPARMOR]: "1" })).toMatch(
      /^Install .*bubblewrap.*util-linux.*apt-get install bubblewrap util-linux coreutils$/,
    );
  });

  test.each([
    NO_NAMESPACE,
    "bwrap: setting up uid map: Permission denied",
    "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted",
  ])("%s: Ubuntu's AppArmor first, for bubblewrap alone", (detail) => {
    const text = said(detail, { [APPARMOR]: "1", [CLONE]: "0", [MAX]: "0", [DOCKER]: "" });
    expect(text).toContain("profile bwrap /usr/bin/bwrap flags=(unconfined)");
    expect(text).toContain("userns,");
    expect(text).toContain("apparmor_parser -r /etc/apparmor.d/bwrap");
    expect(text).not.toContain("sysctl");
  });

  test.each([
    [
      "user namespaces for root alone",
      { [APPARMOR]: "0", [CLONE]: "0" },
      "sysctl -w kernel.unprivileged_userns_clone=1",
    ],
    [
      "no user namespaces",
      { [CLONE]: "1", [MAX]: "0" },
      "sysctl -w user.max_user_namespaces=10000",
    ],
    ["a container", { [MAX]: "15000", [DOCKER]: "" }, "--security-opt seccomp=unconfined"],
  ])("%s", (_, files, words) => {
    expect(said(NO_NAMESPACE, files)).toContain(words);
  });

  test("no remedy for an unknown failure", () => {
    expect(remedies(NO_NAMESPACE, () => undefined)).toEqual([]);
    expect(remedies("64 MiB could be held where 32 MiB are allowed", () => "0")).toEqual([]);
    expect(remedies("", () => "1")).toEqual([]);
  });
});
