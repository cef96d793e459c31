/** Python functions in the `python3` that the sandbox shows. */
import { fileURLToPath } from "node:url";
import type { Definition } from "./definition.ts";

const RUNNER = "/run/distributed-pool/runner.py";
/** The runner is in a folder of the source tree, and beside the bundle in the package. */
const RUNNER_FILE = fileURLToPath(
  new URL(
    import.meta.url.endsWith(".ts") ? "./runners/python/runner.py" : "./python-runner.py",
    import.meta.url,
  ),
);

export const python: Definition = () => ({
  // `-B` writes no compiled files, which would stay in the workspace.
  argv: ["python3", "-B", RUNNER],
  file: { from: RUNNER_FILE, to: RUNNER },
  probe: [
    "python3",
    "-c",
    "import ast, asyncio, resource, sys; sys.exit(sys.version_info < (3, 8))",
  ],
  javascript: false,
});
