/** Type-checks the TypeScript blocks of the pages, as modules beside this package. */
import { join } from "node:path";
import ts from "typescript";
import type { Page } from "./markdown.ts";
import { makeWorkshop } from "./workshop.ts";

/** Each block is a module of its own; one with `file=NAME` can be imported by the page's others. */
export function typeErrors(root: string, pages: readonly Page[]): string[] {
  const workshop = makeWorkshop(root);
  try {
    const origins = new Map<string, string>();
    for (const [index, page] of pages.entries()) {
      for (const { language, tags, text, line } of page.blocks) {
        if (language !== "ts") continue;
        const name = tags.find((tag) => tag.startsWith("file="))?.slice("file=".length);
        const file = `page-${index}/${name ?? `line-${line}.ts`}`;
        workshop.write(file, `${text}\nexport {};\n`);
        origins.set(join(workshop.folder, file), `${page.file}:${line}`);
      }
    }
    const read = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile);
    const { options } = ts.convertCompilerOptionsFromJson(read.config.compilerOptions, root);
    const relaxed = { noUnusedLocals: false, noUnusedParameters: false };
    const host = ts.createCompilerHost({ ...options, ...relaxed });
    const program = ts.createProgram([...origins.keys()], { ...options, ...relaxed }, host);
    return ts
      .getPreEmitDiagnostics(program)
      .filter(({ file }) => file === undefined || origins.has(file.fileName))
      .map(({ file, start = 0, messageText }) => {
        const message = ts.flattenDiagnosticMessageText(messageText, "\n");
        if (!file) return message;
        const { line } = file.getLineAndCharacterOfPosition(start);
        return `${origins.get(file.fileName)} (line ${line + 1} of the block): ${message}`;
      });
  } finally {
    workshop.remove();
  }
}
