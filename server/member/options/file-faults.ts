/** Checks the files, folders and devices that a member's options name. */
import { lstatSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf } from "../../../openapi/errors.ts";
import { jwksUrl } from "../../access/jwks-url.ts";
import { TokenFile } from "../../access/tokens.ts";
import { openTls } from "../../http/tls.ts";
import { readSecret } from "../../supervisor/notify/signature.ts";
import { checkedPools, poolFaults } from "../check-options.ts";
import { type MemberOptions, optionAt } from "../options.ts";
import type { CheckedPool } from "../pool-options.ts";
import type { Fault } from "./faults.ts";
import type { MemberOption } from "./option.ts";
import { MEMBER_OPTIONS } from "./table.ts";

/** @param warn receives what is doubtful, such as a token file that others can read. */
export function fileFaults(options: MemberOptions, warn: (message: string) => void): Fault[] {
  const faults = Object.entries<MemberOption>(MEMBER_OPTIONS).flatMap(
    ([key, { value, path = key }]) => {
      const file = value === "FILE" ? optionAt(options, path) : undefined;
      return file === undefined
        ? []
        : faultOf([key], () =>
            // A named pipe would block the member that reads it.
            expectAt(String(file), "a regular file", { fits: (found) => found.isFile() }),
          );
    },
  );
  const { tokenFile, jwks, tls, notifySecretFile } = options;
  const wrong = faults.map(({ path }) => path[0]);
  if (wrong.every((key) => key === "tokenFile"))
    faults.push(...faultOf(["tlsCert"], () => openTls(tls, warn)?.close()));
  if (tokenFile !== undefined && !wrong.includes("tokenFile"))
    faults.push(
      ...faultOf(["tokenFile"], () =>
        new TokenFile(tokenFile, (_, message) => warn(message)).close(),
      ),
    );
  if (notifySecretFile !== undefined && !wrong.includes("notifySecretFile"))
    faults.push(...faultOf(["notifySecretFile"], () => readSecret(notifySecretFile)));
  if (jwks) faults.push(...faultOf(["jwks"], () => jwksUrl(jwks)));
  const pools = Object.entries(options.pools).filter((pool) => poolFaults(...pool).length === 0);
  return [...faults, ...[...checkedPools(Object.fromEntries(pools))].flatMap(pathFaults)];
}

function pathFaults([name, { readOnly, devices, root }]: [string, CheckedPool]): Fault[] {
  const path = ["pools", name];
  return [
    ...readOnly.flatMap(({ from }, index) =>
      faultOf([...path, "readOnly", index], () => expectAt(from, "a file or folder")),
    ),
    ...devices.flatMap((device, index) =>
      faultOf([...path, "devices", index], () =>
        expectAt(device, "a device", {
          fits: (found) => found.isCharacterDevice() || found.isBlockDevice(),
        }),
      ),
    ),
    ...faultOf([...path, "root"], () => {
      // Without following links: an absolute one leads to the host's files from here.
      if (root !== undefined)
        expectAt(join(root, "bin/sh"), "a root file system with /bin/sh", { stat: lstatSync });
    }),
  ];
}

/** The error of a check as a fault; none when it passes. */
function faultOf(path: Fault["path"], check: () => unknown): Fault[] {
  try {
    check();
    return [];
  } catch (error) {
    return [{ path, message: messageOf(error) }];
  }
}

interface Expectation {
  fits?(found: Stats): boolean;
  stat?(path: string): Stats;
}

function expectAt(path: string, expected: string, { fits, stat = statSync }: Expectation = {}) {
  let found: Stats;
  try {
    found = stat(path);
  } catch (error) {
    throw new Error(`expected ${expected}; got ${path}: ${(error as NodeJS.ErrnoException).code}`);
  }
  if (fits?.(found) === false) throw new Error(`expected ${expected}; got ${path}`);
}
