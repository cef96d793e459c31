/** The certificates of a member, for serving and for requests to others; reloaded on change. */
import { X509Certificate } from "node:crypto";
import {
  checkServerIdentity,
  createSecureContext,
  type TlsOptions as ServerOptions,
} from "node:tls";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { TlsIdentity } from "../../sdk/typescript/node/transport.ts";
import { watchFiles } from "./file-watcher.ts";

/** Paths of PEM files. */
export interface TlsOptions {
  /** The certificate and its intermediates. It is also the client certificate for other members. */
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
  /** The authority of client certificates. If set, the handshake refuses clients without one. */
  readonly clientCaFile?: string | undefined;
  /** The authority that other members' certificates must have. Default: the well-known ones. */
  readonly caFile?: string | undefined;
  /**
   * A member NAME has to show a certificate for `NAME.DOMAIN`. Default `distributed-pool`.
   */
  readonly memberDomain?: string | undefined;
}

export class TlsFiles {
  /** For the server's socket. */
  server!: Pick<ServerOptions, "cert" | "key" | "ca" | "requestCert" | "rejectUnauthorized">;
  /** For requests to other members. */
  client!: TlsIdentity;
  /** Stops watching the files. */
  readonly close: () => void;
  readonly #changed: (() => void)[] = [];

  /** @throws {PoolError} `invalid_request` for files that are unreadable or no certificate. */
  constructor(
    { certFile, keyFile, clientCaFile, caFile }: TlsOptions & { certFile: string; keyFile: string },
    log: (message: string) => void,
  ) {
    const files = [certFile, keyFile, clientCaFile, caFile].filter((file) => file !== undefined);
    const take = (texts: readonly string[]) => {
      const textOf = (file: string | undefined) => texts[files.indexOf(file ?? "")];
      const [cert, key] = texts;
      const [clientCa, ca] = [textOf(clientCaFile), textOf(caFile)];
      for (const authority of [clientCa, ca]) createSecureContext({ cert, key, ca: authority });
      this.server = {
        cert,
        key,
        ...(clientCaFile === undefined
          ? {}
          : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
      };
      this.client = { cert, key, ca };
      for (const changed of this.#changed) changed();
    };
    try {
      this.close = watchFiles(files, take, (message) =>
        log(`certificates: ${message}; those before stay`),
      );
    } catch (error) {
      throw PoolError.of(
        "invalid_request",
        `certificates ${files.join(", ")}: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /**
   * Why others would not take the certificate for that of this name; undefined where they do.
   *
   * @param name such as `web1.distributed-pool`.
   */
  faultFor(name: string): string | undefined {
    const certificate = new X509Certificate(this.client.cert ?? "").toLegacyObject();
    // The types of a certificate in a handshake differ from those of one in a file.
    const identity = certificate as unknown as Parameters<typeof checkServerIdentity>[1];
    return checkServerIdentity(name, identity)?.message;
  }

  /** Why nobody takes the certificate at this time; undefined where its dates are right. */
  get staleness(): string | undefined {
    const { validFromDate, validToDate } = new X509Certificate(this.client.cert ?? "");
    if (validToDate.getTime() < Date.now()) return `expired on ${validToDate.toISOString()}`;
    return validFromDate.getTime() > Date.now()
      ? `is not valid before ${validFromDate.toISOString()}`
      : undefined;
  }

  /** Calls back after each change of the files. */
  onChange(changed: () => void): void {
    this.#changed.push(changed);
  }
}

/**
 * Opens the files. Undefined when there are none.
 *
 * @throws {PoolError} `invalid_request` for a certificate without its key, or the reverse.
 */
export function openTls(
  { certFile, keyFile, ...rest }: TlsOptions = {},
  log: (message: string) => void,
): TlsFiles | undefined {
  if (certFile !== undefined && keyFile !== undefined)
    return new TlsFiles({ certFile, keyFile, ...rest }, log);
  const files = [certFile, keyFile, rest.clientCaFile, rest.caFile].filter(
    (file) => file !== undefined,
  );
  if (files.length > 0)
    throw PoolError.of(
      "invalid_request",
      `expected a certificate and its key, to serve https; got only ${files.join(", ")}`,
    );
  return undefined;
}
