/**
 * Runs a function on the least loaded member of the pool. Its output is printed here.
 *
 *     npx node examples/says-foo/says-foo.js [URL of a member]
 */
import { DistributedPool } from "distributed-pool";

const [url = process.env.DPOOL_URL ?? "http://127.0.0.1:7400"] = process.argv.slice(2);
const pools = new DistributedPool({ url });
const foo = 1212;

// The function travels as source: it cannot see `foo` of this file, so `foo` is passed to it.
await pools.call("pipeline", (foo, { member }) => console.log(`${member} says foo is ${foo}`), foo);
await pools.close();
