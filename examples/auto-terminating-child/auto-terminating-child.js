/**
 * A child that ends by itself. The caller places it and leaves at once. Later, any process attaches
 * to it by its id, through any member. It reads the output from the beginning, and learns how the
 * child ended.
 *
 * Place the child, and print its id:
 *
 *     npx node examples/auto-terminating-child/auto-terminating-child.js [URL of a member]
 *
 * Attach to it:
 *
 *     npx node examples/auto-terminating-child/auto-terminating-child.js URL-of-a-member ID
 */
import { DistributedPool, outputBytes } from "distributed-pool";

const COUNTDOWN =
  'for n in 3 2 1; do echo "$POOL_MEMBER: $n"; sleep 1; done; echo "$POOL_MEMBER: done"';

const [url = process.env.DPOOL_URL ?? "http://127.0.0.1:7400", id] = process.argv.slice(2);
const pools = new DistributedPool({ url });

if (id === undefined) {
  const child = await pools.placeChild("pipeline", {
    command: ["sh", "-c", COUNTDOWN],
    labels: { example: "auto-terminating-child" },
  });
  console.log(child.id);
  console.error(
    "The child runs on without this process. Follow it within a minute of its end: " +
      `npx dpool logs -f ${child.id} --url ${url}`,
  );
} else {
  for await (const event of pools.child(id).events()) {
    if (event.type === "stdout") process.stdout.write(outputBytes(event));
    else if (event.type === "result")
      console.log(`ended by itself with exit code ${event.exitCode}`);
    else if (event.type === "failed")
      console.log(`failed: ${event.problem.code}: ${event.problem.detail}`);
  }
}
await pools.close();
