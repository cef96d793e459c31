// Indents the declarations of the SDK by tabs: they are a third of the package, and mostly nested.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const folder = new URL("../sdk/typescript/dist/", import.meta.url);
for (const name of readdirSync(folder).filter((each) => /\.d\.c?ts$/.test(each))) {
  const file = new URL(name, folder);
  const text = readFileSync(file, "utf8");
  writeFileSync(
    file,
    text.replace(/^(?: {4})+/gm, (spaces) => "\t".repeat(spaces.length / 4)),
  );
}
