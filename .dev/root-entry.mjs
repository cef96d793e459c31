/** Writes the entry of the root package, which is that of the SDK. */
import { writeFileSync } from "node:fs";

for (const name of ["index.js", "index.d.ts"])
  writeFileSync(
    new URL(`../dist/${name}`, import.meta.url),
    'export * from "@distributed-pool/sdk/node";\n',
  );
