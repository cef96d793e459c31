/** Authorities and certificates of a test's own. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onPath } from "./programs.ts";

export const hasOpenssl = onPath("openssl");

/** The names that the helper `startMembers` gives. */
const MEMBERS = ["m1", "m2", "m3"];

const KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/** Makes `NAME.pem` and `NAME.key` in a folder of its own. */
export class Pki {
  readonly #folder = mkdtempSync(join(tmpdir(), "dpool-tls-"));

  at(name: string): string {
    return join(this.#folder, name);
  }

  pem(name: string): string {
    return readFileSync(this.at(name), "utf8");
  }

  authority(name: string): void {
    const use = ["-addext", "keyUsage=critical,keyCertSign"];
    this.#openssl(
      "req",
      "-x509",
      ...KEY,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.pem`,
      "-days",
      "2",
      "-subj",
      `/CN=${name}`,
      ...use,
    );
  }

  /**
   * A certificate for one address of this machine and for members, valid for a server and for a
   * client.
   *
   * @param options `agoDays`: how long ago it was signed, for 2 days, which needs `faketime`.
   */
  certificate(
    name: string,
    by: string,
    { address = "127.0.0.1", members = MEMBERS, agoDays = 0 } = {},
  ): void {
    const names = ["localhost", ...members.map((member) => `${member}.distributed-pool`)];
    this.#openssl(
      "req",
      ...KEY,
      "-keyout",
      `${name}.key`,
      "-out",
      `${name}.csr`,
      "-subj",
      `/CN=${name}`,
    );
    writeFileSync(
      this.at(`${name}.ext`),
      `subjectAltName=IP:${address},${names.map((each) => `DNS:${each}`)}\n` +
        "extendedKeyUsage=serverAuth,clientAuth\n",
    );
    const signer = ["-CA", `${by}.pem`, "-CAkey", `${by}.key`, "-CAcreateserial"];
    this.#run(agoDays > 0 ? ["faketime", `${agoDays} days ago`, "openssl"] : ["openssl"], [
      "x509",
      "-req",
      "-in",
      `${name}.csr`,
      ...signer,
      "-days",
      "2",
      "-extfile",
      `${name}.ext`,
      "-out",
      `${name}.pem`,
    ]);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #openssl(...args: string[]): void {
    this.#run(["openssl"], args);
  }

  #run([program = "", ...before]: readonly string[], args: readonly string[]): void {
    execFileSync(program, [...before, ...args], { cwd: this.#folder, stdio: "pipe" });
  }
}
