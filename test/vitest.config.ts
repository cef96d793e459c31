import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** The files that take longest. Begun last, one of them would leave a core idle. */
const LONGEST = ["cluster/recorder", "cluster/consul", "hostile/event-loop", "process/pages"];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) =>
      LONGEST.some((name) => moduleId.endsWith(`${name}.test.ts`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    root: fileURLToPath(new URL("..", import.meta.url)),
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/helpers/observed.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // Members, agents and sandboxes are processes of their own. Two files at once leave half of two
    // cores idle, because most tests wait for something. With four, they wait for each other.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
  },
});
