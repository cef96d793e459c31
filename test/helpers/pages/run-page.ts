/** Runs a page of the documentation: its commands, configurations and programs, in order. */
import { type ChildProcess, execFile } from "node:child_process";
import { promisify } from "node:util";
import { onPath } from "../programs.ts";
import { matches, parseCommands } from "./console-block.ts";
import type { Block, Page } from "./markdown.ts";
import { endShell, runBlock, startServers } from "./shell.ts";
import {
  copyExamples,
  freePorts,
  makePackable,
  makeWorkshop,
  type Workshop,
  withPorts,
} from "./workshop.ts";

const PROGRAM_TIMEOUT_MS = 30_000;

/** What the blocks of all pages share. */
export interface Shared {
  readonly root: string;
  /** First port of members that run for pages without servers of their own. */
  readonly firstPort: number;
  /** Address of a Consul agent; undefined where there is none. */
  readonly consul: string | undefined;
}

/** Why a block cannot run on this machine; undefined where it can. */
function obstacle({ tags }: Block, { consul }: Shared): string | undefined {
  if (tags.includes("no-run")) return tags.slice(tags.indexOf("no-run") + 1).join(" ");
  if (tags.includes("root") && process.getuid?.() !== 0) return "root is needed";
  if (tags.includes("consul") && consul === undefined) return "Consul is not installed";
  const programs = tags.filter((tag) => tag.startsWith("needs=")).map((tag) => tag.slice(6));
  const missing = programs.filter((program) => !onPath(program));
  return missing.length > 0 ? `${missing.join(" and ")} not installed` : undefined;
}

class PageRun {
  private readonly page: Page;
  private readonly shared: Shared;
  private readonly workshop: Workshop;
  /** First port of the page's own servers. Before it starts any, its blocks ask the shared ones. */
  private readonly ownPort: number;
  private readonly servers: ChildProcess[] = [];
  private hasServers = false;

  constructor(page: Page, shared: Shared, own: { workshop: Workshop; port: number }) {
    this.page = page;
    this.shared = shared;
    this.workshop = own.workshop;
    this.ownPort = own.port;
  }

  async block(block: Block, next: Block | undefined): Promise<void> {
    if (block.tags.includes("serves") && !this.hasServers) {
      this.hasServers = true;
      copyExamples(this.workshop, this.shared.root, this.firstPort);
    }
    const text = this.withPorts(block.text);
    const file = block.tags.find((tag) => tag.startsWith("file="))?.slice("file=".length);
    if (file !== undefined) this.workshop.write(file, text);
    if (block.language === "console") await this.console(block, text);
    else if (block.language === "json") JSON.parse(text);
    else if (block.language === "yaml" && block.tags.includes("config")) {
      this.workshop.write("page.yaml", text);
      await this.program(block, [
        "npx",
        "dpool",
        "check-config",
        "page.yaml",
        "--pool",
        "pipeline=5",
      ]);
    } else if (block.tags.includes("run")) {
      const name = `run-${block.line}.${block.language}`;
      this.workshop.write(name, text);
      const promised = next?.tags.includes("output") ? this.withPorts(next.text) : undefined;
      const program = block.language === "python" ? "python3" : "node";
      await this.program(block, [program, name], promised);
    }
  }

  async end(): Promise<void> {
    await Promise.all(this.servers.map(endShell));
    this.workshop.remove();
  }

  private get firstPort(): number {
    return this.hasServers ? this.ownPort : this.shared.firstPort;
  }

  private withPorts(text: string): string {
    const { consul } = this.shared;
    return withPorts(text, this.firstPort, consul && new URL(consul).port);
  }

  private label({ line }: Block): string {
    return `${this.page.file}:${line}`;
  }

  private env({ tags }: Block): NodeJS.ProcessEnv {
    const { env } = this.workshop;
    const port = tags.includes("serves")
      ? { DPOOL_PORT: String(this.firstPort) }
      : { DPOOL_URL: `http://127.0.0.1:${this.firstPort}` };
    return tags.includes("consul")
      ? { ...env, CONSUL_HTTP_ADDR: this.shared.consul }
      : { ...env, ...port };
  }

  private async console(block: Block, text: string): Promise<void> {
    const session = {
      cwd: this.workshop.folder,
      env: this.env(block),
      label: this.label(block),
    };
    const commands = parseCommands(text);
    if (block.tags.includes("again")) await Promise.all(this.servers.splice(0).map(endShell));
    if (block.tags.includes("serves")) this.servers.push(await startServers(commands, session));
    else await runBlock(commands, session);
  }

  private async program(
    block: Block,
    [file = "", ...args]: readonly string[],
    promised?: string,
  ): Promise<void> {
    const options = {
      cwd: this.workshop.folder,
      env: this.env(block),
      timeout: PROGRAM_TIMEOUT_MS,
    };
    const { stdout } = await promisify(execFile)(file, args, options).catch((error) => {
      throw new Error(`${this.label(block)}: ${error.message}\n${error.stdout}`);
    });
    if (promised !== undefined && !matches(stdout, promised))
      throw new Error(`${this.label(block)}: expected:\n${promised}got:\n${stdout}`);
  }
}

/** Runs all blocks of a page. Resolves with what is wrong, and with what this machine skipped. */
export async function runPage(
  page: Page,
  shared: Shared,
): Promise<{ readonly failures: string[]; readonly skipped: string[] }> {
  const has = (tag: string) => page.blocks.some(({ tags }) => tags.includes(tag));
  const workshop = has("install")
    ? makePackable(shared.root)
    : makeWorkshop(shared.root, page.file === "README.md" ? "npx" : "shim");
  const firstPort = has("serves") ? await freePorts() : shared.firstPort;
  copyExamples(workshop, shared.root, shared.firstPort);
  const run = new PageRun(page, shared, { workshop, port: firstPort });
  const failures: string[] = [];
  const skipped: string[] = [];
  try {
    for (const [index, block] of page.blocks.entries()) {
      const reason = obstacle(block, shared);
      if (reason !== undefined) skipped.push(`${page.file}:${block.line}: ${reason}`);
      else
        await run
          .block(block, page.blocks[index + 1])
          .catch((error: Error) => failures.push(error.message));
    }
  } finally {
    await run.end();
  }
  return { failures, skipped };
}
