/** Checks the token file: its lines, and who else may read or write it. */
import { readFileSync, statSync } from "node:fs";
import { messageOf } from "../../../../openapi/errors.ts";
import { isLoopback } from "../../../../sdk/typescript/trust/loopback.ts";
import { modeFault, parseTokens } from "../../../access/tokens.ts";
import type { MemberOptions } from "../../../member/options.ts";
import { type Finding, failed, ok, skipped, warning } from "../finding.ts";

const NAME = "token file";

export function tokenFinding({ tokenFile, jwks, host }: MemberOptions): Finding {
  if (tokenFile === undefined)
    return skipped(
      NAME,
      jwks !== undefined || !isLoopback(host ?? "127.0.0.1")
        ? "none is given"
        : "none is given; on loopback anybody on this machine may call",
    );
  try {
    if (statSync(tokenFile).isDirectory())
      return failed(NAME, `${tokenFile}: expected a file; got a folder`, {
        cure: "name a file by --token-file; dpool token NAME prints a line for it",
      });
    const tokens = parseTokens(readFileSync(tokenFile, "utf8"));
    const fault = modeFault(tokenFile);
    if (!fault && tokens.size === 0 && jwks === undefined)
      return warning(NAME, `${tokenFile}: expected a token; got none, so nobody may call`, {
        cure: `add a line: dpool token NAME >> ${tokenFile}`,
      });
    if (!fault) return ok(NAME, tokenFile);
    const cure = {
      cure: "keep others from it; a running member need not be told:",
      command: `chmod ${fault.isWritable ? "go-w,o-r" : "o-r"} '${tokenFile}'`,
    };
    return (fault.isWritable ? failed : warning)(NAME, `${tokenFile}: ${fault.message}`, cure);
  } catch (error) {
    const detail = `${tokenFile}: ${messageOf(error)}`;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EACCES" || code === "EPERM")
      return failed(NAME, detail, {
        cure: "run dpool doctor as the user of the member; if this is that user, as root:",
        command: `chown ${process.geteuid?.()} '${tokenFile}' && chmod 600 '${tokenFile}'`,
      });
    return failed(NAME, detail, {
      cure: "mend the line, or the path; dpool token NAME prints a line for the file",
    });
  }
}
