/**
 * Runs a function on the least loaded member of the pool. Its output is printed here.
 *
 *     npx node examples/says-foo/says-foo.ts [URL of a member]
 */
// Outside this repository: import { DistributedPool, type PoolContext } from "distributed-pool";
import { DistributedPool, type PoolContext } from "../../sdk/typescript/node.ts";

const [url = "http://127.0.0.1:7400"] = process.argv.slice(2);
const pools = new DistributedPool({ url });
const foo = 1212;

// The function travels as source: it cannot see `foo` of this file, so `foo` is passed to it.
await pools.call(
  "pipeline",
  (foo: number, { member }: PoolContext) => console.log(`${member} says foo is ${foo}`),
  foo,
);
await pools.close();
