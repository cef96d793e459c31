import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/helpers/observed.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Members, agents and sandboxes are processes of their own: more files at once than cores only
    // make each other wait.
    maxWorkers: 2,
  },
});
