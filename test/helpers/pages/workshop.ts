/** A folder that looks like a fresh checkout, in which a page's commands run. */
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { cleanEnvironment } from "../processes.ts";

/** Ports that the pages name, in a row: 7400 for the first member. */
const FIRST_PORT = 7_400;
const PORTS = 20;
/** Below the ports that the kernel gives to clients. */
const LOWEST = 20_000;
const RANGE = 10_000;

/** Resolves with the first of {@link PORTS} ports in a row that are free at this moment. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const first = LOWEST + Math.floor(Math.random() * RANGE);
    const servers = Array.from({ length: PORTS }, () => createServer());
    const bound = servers.map(
      (server, index) =>
        new Promise<boolean>((resolve) =>
          server
            .once("error", () => resolve(false))
            .listen(first + index, "127.0.0.1", () => resolve(true)),
        ),
    );
    const free = (await Promise.all(bound)).every((one) => one);
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    if (free) return first;
  }
}

/** The text of a page with the ports that this run uses in place of 7400 to 7419, and of 8500. */
export function withPorts(text: string, first: number, consulPort?: string): string {
  return text
    .replaceAll(/\b74[01]\d\b/g, (port) => String(first + Number(port) - FIRST_PORT))
    .replaceAll(/\b8500\b/g, (port) => consulPort ?? port);
}

export interface Workshop {
  readonly folder: string;
  /** The environment of its commands; `npx dpool` runs this checkout's build. */
  readonly env: NodeJS.ProcessEnv;
  write(file: string, text: string): void;
  remove(): void;
}

/**
 * Makes the folder: links to everything in the checkout.
 *
 * @param npx `npx` runs npm's own, which takes half a second for each command; `shim` runs a script
 *   that takes `dpool` from this checkout.
 */
export function makeWorkshop(root: string, npx: "npx" | "shim" = "shim"): Workshop {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "dpool-pages-")));
  for (const name of readdirSync(root))
    if (name !== ".git" && !name.endsWith(".tgz"))
      symlinkSync(join(root, name), join(folder, name));
  const bin = join(folder, ".pages-bin");
  mkdirSync(bin);
  // A page that lists the folder's files must not depend on what Node this machine has first.
  symlinkSync(process.execPath, join(bin, "node"));
  if (npx === "shim") {
    const cli = join(root, "dist/cli.js");
    writeFileSync(
      join(bin, "npx"),
      `#!/bin/sh\n[ "$1" != node ] || exec "$@"\nshift\nexec node ${cli} "$@"\n`,
    );
    chmodSync(join(bin, "npx"), 0o755);
  }
  const env = cleanEnvironment();
  env.PATH = [bin, join(root, ".tools/usr/bin"), env.PATH].join(delimiter);
  return {
    folder,
    env,
    write(file, text) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      writeFileSync(join(folder, file), text);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** Replaces the link to the examples by copies whose default port is the one of this run. */
export function copyExamples({ folder, write }: Workshop, root: string, firstPort: number): void {
  rmSync(join(folder, "examples"), { recursive: true, force: true });
  cpSync(join(root, "examples"), join(folder, "examples"), { recursive: true });
  for (const file of globSync("examples/*/*.js", { cwd: root }))
    write(file, withPorts(readFileSync(join(root, file), "utf8"), firstPort));
}

/** Makes a folder with the files that `npm pack` takes, as files and not as links. */
export function makePackable(root: string): Workshop {
  const workshop = makeWorkshop(root, "npx");
  for (const name of ["dist", "openapi", "package.json", "README.md", "LICENSE", "CHANGELOG.md"]) {
    rmSync(join(workshop.folder, name));
    cpSync(join(root, name), join(workshop.folder, name), {
      recursive: true,
      preserveTimestamps: true,
    });
  }
  return workshop;
}
