/** JavaScript and TypeScript in `node`, the same version as the server's. */
import type { Definition } from "./definition.ts";
import { javascriptRunner } from "./javascript.ts";

const NODE = "/run/distributed-pool/node";

export const node: Definition = (machine) =>
  javascriptRunner(machine, { program: process.execPath, place: NODE, options: ["--disable-warning=ExperimentalWarning"] });
