/** The command that installs a package on this distribution. */
import { readFileSync } from "node:fs";

/** The commands by the names of distributions in `ID` and `ID_LIKE` of os-release(5). */
const INSTALL: readonly (readonly [pattern: RegExp, command: string])[] = [
  [/\b(debian|ubuntu)\b/, "apt-get install -y"],
  [/\b(fedora|rhel|centos)\b/, "dnf install -y"],
  [/\balpine\b/, "apk add"],
  [/\barch\b/, "pacman -S --noconfirm"],
  [/\bsuse\b/, "zypper install -y"],
];

/** Other names of Debian's packages, by the beginning of the command. */
const OTHER_NAMES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  dnf: { "perl-base": "perl-Socket" },
  apk: { "perl-base": "perl" },
  pacman: { "perl-base": "perl", python3: "python" },
};

function osRelease(): string {
  try {
    return readFileSync("/etc/os-release", "utf8");
  } catch {
    return "";
  }
}

/**
 * The command that installs packages; undefined on a distribution that is not known. Pure with
 * `release`.
 *
 * @param packages by their names in Debian.
 * @param release the text of os-release(5). Default: of this machine.
 */
export function installing(packages: readonly string[], release = osRelease()): string | undefined {
  const like = [...release.matchAll(/^(?:ID|ID_LIKE)=(.*)$/gm)].map(([, names]) => names).join(" ");
  const [, command] = INSTALL.find(([pattern]) => pattern.test(like)) ?? [];
  if (command === undefined) return undefined;
  const names = OTHER_NAMES[command.split(" ")[0] ?? ""] ?? {};
  return `${command} ${packages.map((each) => names[each] ?? each).join(" ")}`;
}
