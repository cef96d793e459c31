/** The time to import each entry of the SDK in a new process: the median of 11, in milliseconds. */
import { execFileSync } from "node:child_process";

for (const entry of ["@distributed-pool/sdk", "@distributed-pool/sdk/node"]) {
  const program =
    `const from = performance.now(); await import(${JSON.stringify(entry)}); ` +
    "console.log(performance.now() - from)";
  const args = ["--input-type=module", "--eval", program];
  const times = Array.from({ length: 11 }, () =>
    Number(execFileSync(process.execPath, args, { encoding: "utf8" })),
  ).toSorted((a, b) => a - b);
  console.log(`import ${entry}: ${times[5]?.toFixed(1)} ms`);
}
