/** One child with everything that a spec and a pool can give it: no part is in another's way. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { egressMissing, reachable } from "../helpers/egress.ts";
import { post, startOne, within } from "../helpers/member.ts";
import { onPath } from "../helpers/programs.ts";

const missing = egressMissing ?? (onPath("curl") ? undefined : "curl is not installed");

/** dash would drop the variables with odd names. */
const SCRIPT = `
open my $out, ">", "out.txt"; print $out "made"; close $out;
print join "|", (-t STDIN ? "tty" : "none"), @ENV{"spring.profiles.active", "pool.own", "TERM"},
  map { my $text = qx($_); $text =~ s/\\s+$//; $text } @ARGV`;

test.skipIf(missing)(
  `a terminal, listed names, odd names, /etc, files and artifacts${
    missing ? ` (skipped: ${missing})` : ""
  }`,
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "dpool-together-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    chmodSync(folder, 0o755);
    const granted = join(folder, "granted");
    writeFileSync(granted, "granted", { mode: 0o644 });
    const { pool, urls } = await reachable(folder);
    const member = await startOne({
      pools: {
        pipeline: {
          ...pool,
          limits: { cpus: 1 },
          readOnly: [`${granted}:/etc/granted`],
          env: { "pool.own": "the pool's" },
        },
      },
    });
    const commands = [
      "stty size",
      `curl -sS -d in ${urls[1]}/`,
      "nproc",
      "cat in.txt /etc/granted",
      "whoami",
    ];
    const spec = {
      // The programs that make the terminal and the way to the proxy are perl, too.
      command: ["env", "-u", "PERL5OPT", "perl", "-e", SCRIPT, ...commands],
      tty: { rows: 30, columns: 100 },
      env: { "spring.profiles.active": "two words", PERL5OPT: "-Mnone" },
      files: { "in.txt": "file," },
      artifacts: ["out.txt"],
    };
    const answer = await within("the child", post(`${member.url}/pools/pipeline`, "/run", spec));
    expect(await answer.json()).toMatchObject({
      stdout: "tty|two words|the pool's|xterm-256color|30 100|POST / in|1|file,granted|nobody",
      stderr: "",
      exitCode: 0,
      artifacts: [{ path: "out.txt", bytes: 4 }],
    });
  },
);
