/** JavaScript and TypeScript in `node`, the same version as the server's. */
import type { Definition } from "./definition.ts";
import { javascriptRunner } from "./javascript.ts";

const NODE = "/run/distributed-pool/node";
/** `vm-modules`: to tell a module that does not parse from one that throws what its own parsers say. */
const OPTIONS = ["--disable-warning=ExperimentalWarning", "--experimental-vm-modules"];

export const node: Definition = (machine) =>
  javascriptRunner(machine, { program: process.execPath, place: NODE, options: OPTIONS });
