/** JavaScript and TypeScript in `node`, in the server's own version. */
import type { Definition } from "./definition.ts";
import { javascriptRunner } from "./javascript.ts";

const NODE = "/run/distributed-pool/node";
/**
 * `vm-modules` distinguishes a module that does not parse from one that throws a parser's error.
 */
const OPTIONS = ["--disable-warning=ExperimentalWarning", "--experimental-vm-modules"];

export const node: Definition = (machine) =>
  javascriptRunner(machine, { program: process.execPath, path: NODE, options: OPTIONS });
