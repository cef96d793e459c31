/** Opens a page in the browser of a desktop. */
import { spawn } from "node:child_process";
import { once } from "node:events";

/** The program that opens a page; undefined where there is no desktop. */
function openerOf(env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (process.platform === "darwin") return "open";
  return env.DISPLAY || env.WAYLAND_DISPLAY ? "xdg-open" : undefined;
}

/** Resolves with whether a program has been started for the page. */
export async function openPage(
  url: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  const opener = openerOf(env);
  if (opener === undefined) return false;
  const program = spawn(opener, [url], { stdio: "ignore", detached: true });
  try {
    await once(program, "spawn");
  } catch {
    return false;
  }
  program.unref();
  return true;
}
