/** The certificates of a member, for serving and for requests to others; reloaded on change. */
import { createSecureContext } from "node:tls";
import { messageOf, PoolError } from "../../openapi/errors.ts";
import type { TlsIdentity } from "../../sdk/typescript/http/connections.ts";
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
}

interface ServerCertificates {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly requestCert?: true;
  readonly rejectUnauthorized?: true;
}

interface Certificates {
  readonly server: ServerCertificates;
  readonly client: TlsIdentity;
}

export class TlsFiles implements Certificates {
  #current!: Certificates;
  readonly #changed: ((certificates: Certificates) => void)[] = [];
  readonly #close: () => void;

  /** @throws {PoolError} `invalid_request` for files that are unreadable or no certificate. */
  constructor(
    { certFile, keyFile, clientCaFile, caFile }: TlsOptions & { certFile: string; keyFile: string },
    log: (message: string) => void,
  ) {
    const files = [
      certFile,
      keyFile,
      ...(clientCaFile === undefined ? [] : [clientCaFile]),
      ...(caFile === undefined ? [] : [caFile]),
    ];
    const take = ([cert = "", key = "", ...authorities]: readonly string[]) => {
      const clientCa = clientCaFile === undefined ? undefined : authorities[0];
      const ca = caFile === undefined ? undefined : authorities.at(-1);
      for (const authority of [clientCa, ca])
        createSecureContext({ cert, key, ...(authority === undefined ? {} : { ca: authority }) });
      this.#current = {
        server: {
          cert,
          key,
          ...(clientCa === undefined
            ? {}
            : { ca: clientCa, requestCert: true, rejectUnauthorized: true }),
        },
        client: { cert, key, ca },
      };
      for (const tell of this.#changed) tell(this.#current);
    };
    try {
      this.#close = watchFiles(files, take, (message) =>
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

  get server(): ServerCertificates {
    return this.#current.server;
  }

  get client(): TlsIdentity {
    return this.#current.client;
  }

  onChange(tell: (certificates: Certificates) => void): void {
    this.#changed.push(tell);
  }

  close(): void {
    this.#close();
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
