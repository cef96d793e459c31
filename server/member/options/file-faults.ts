/** Checks the files, folders and devices that a member's options name. */
import { lstatSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../openapi/errors.ts";
import { Jwks } from "../../access/jwks.ts";
import { TokenFile } from "../../access/tokens.ts";
import { openTls } from "../../http/tls.ts";
import { checkedPool, poolFaults } from "../check-options.ts";
import { type MemberOptions, optionAt } from "../options.ts";
import type { Fault } from "./faults.ts";
import type { MemberOption } from "./option.ts";
import { MEMBER_OPTIONS } from "./table.ts";

const FILE_OPTIONS = Object.entries<MemberOption>(MEMBER_OPTIONS).filter(
  ([, { value }]) => value === "FILE",
);

/** @param warn receives what is doubtful, such as a token file that others can read. */
export function fileFaults(options: MemberOptions, warn: (message: string) => void): Fault[] {
  const { faults, attempt } = collected();
  for (const [key, { path = key }] of FILE_OPTIONS)
    attempt([key], () => expectFile(optionAt(options, path)));
  const { tokenFile, jwks, tls } = options;
  const wrong = faults.map(({ path }) => path[0]);
  if (wrong.every((key) => key === "tokenFile"))
    attempt(["tlsCert"], () => openTls(tls, warn)?.close());
  if (tokenFile !== undefined && !wrong.includes("tokenFile"))
    attempt(["tokenFile"], () => new TokenFile(tokenFile, (_, message) => warn(message)).close());
  if (jwks) attempt(["jwks"], () => new Jwks(jwks, warn));
  const pools = Object.entries(options.pools).filter((pool) => poolFaults(...pool).length === 0);
  return [...faults, ...pools.flatMap(([name, pool]) => pathFaults(name, pool))];
}

function pathFaults(name: string, pool: MemberOptions["pools"][string]): Fault[] {
  const { faults, attempt } = collected();
  const { readOnly, devices, root } = checkedPool(pool);
  for (const [index, { from }] of readOnly.entries())
    attempt(["pools", name, "readOnly", index], () =>
      expectAt(from, { expected: "a file or folder" }),
    );
  for (const [index, device] of devices.entries())
    attempt(["pools", name, "devices", index], () =>
      expectAt(device, {
        expected: "a device",
        fits: (found) => found.isCharacterDevice() || found.isBlockDevice(),
      }),
    );
  if (root !== undefined)
    attempt(["pools", name, "root"], () =>
      // Without following links: an absolute one leads to the host's files from here.
      expectAt(join(root, "bin/sh"), {
        expected: "a root file system with /bin/sh",
        stat: lstatSync,
      }),
    );
  return faults;
}

/** Collects the errors of checks as faults. */
function collected(): { faults: Fault[]; attempt(path: Fault["path"], run: () => unknown): void } {
  const faults: Fault[] = [];
  return {
    faults,
    attempt(path, run) {
      try {
        run();
      } catch (error) {
        faults.push({ path, message: messageOf(error) });
      }
    },
  };
}

/** A named pipe would block the member that reads it. */
function expectFile(path: unknown): void {
  if (path !== undefined)
    expectAt(String(path), { expected: "a regular file", fits: (found) => found.isFile() });
}

interface Expectation {
  readonly expected: string;
  fits?(found: Stats): boolean;
  stat?(path: string): Stats;
}

function expectAt(path: string, { expected, fits, stat = statSync }: Expectation): void {
  let found: Stats;
  try {
    found = stat(path);
  } catch (error) {
    throw new Error(`expected ${expected}; got ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (fits?.(found) === false) throw new Error(`expected ${expected}; got ${path}`);
}
