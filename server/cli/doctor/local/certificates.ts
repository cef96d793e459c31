/** Checks the certificates of a member: key, dates, the name that others expect, the authority. */
import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { messageOf } from "../../../../openapi/errors.ts";
import { MEMBER_DOMAIN } from "../../../../sdk/typescript/node/transport.ts";
import { openTls, type TlsFiles, type TlsOptions } from "../../../http/tls.ts";
import { type Finding, failed, ok, skipped, warning } from "../finding.ts";

const NAME = "certificate";
/** 14 days before a certificate expires, it is time for the next one. */
const SOON_MS = 14 * 24 * 3_600_000;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** @param member the member's name, which its certificate has to carry. */
export function certificateFindings(tls: TlsOptions | undefined, member: string): Finding[] {
  let files: TlsFiles | undefined;
  try {
    files = openTls(tls, () => {});
  } catch (error) {
    const message = messageOf(error);
    const cure = /key values mismatch/.test(message)
      ? `write the key of ${tls?.certFile} to ${tls?.keyFile}, or make a new pair`
      : "name PEM files that this user can read: --tls-cert with --tls-key, and --tls-ca";
    return [failed(NAME, message, { cure })];
  }
  if (files === undefined || tls === undefined) return [skipped(NAME, "none is given: http")];
  files.close();
  const identity = `${member}.${tls.memberDomain ?? MEMBER_DOMAIN}`;
  return [dateFinding(tls, identity), nameFinding(files, tls, identity), ...authorityFinding(tls)];
}

const certificatesIn = (file: string) =>
  (readFileSync(file, "utf8").match(PEM) ?? []).map((pem) => new X509Certificate(pem));

function dateFinding({ certFile = "" }: TlsOptions, identity: string): Finding {
  const name = `${NAME} dates`;
  const now = Date.now();
  const chain = certificatesIn(certFile);
  const from = Math.max(...chain.map(({ validFrom }) => Date.parse(validFrom)));
  const to = Math.min(...chain.map(({ validTo }) => Date.parse(validTo)));
  const day = (time: number) => new Date(time).toISOString().slice(0, 10);
  const renew = {
    cure:
      `write a new certificate for ${identity} to ${certFile}, and its key beside it; ` +
      "a running member takes it by itself",
  };
  if (now < from)
    return failed(name, `${certFile} is not valid before ${new Date(from).toISOString()}`, {
      cure: `wait until then, set this machine's clock, or ${renew.cure}`,
    });
  if (now > to) return failed(name, `${certFile} expired on ${day(to)}`, renew);
  return to - now < SOON_MS
    ? warning(name, `${certFile} expires on ${day(to)}`, renew)
    : ok(name, `${certFile} is valid until ${day(to)}`);
}

function nameFinding(files: TlsFiles, tls: TlsOptions, identity: string): Finding {
  const name = `${NAME} name`;
  if (files.faultFor(identity) === undefined) return ok(name, identity);
  const certificate = new X509Certificate(files.client.cert ?? "");
  const names = (certificate.subjectAltName ?? "none").replaceAll("DNS:", "");
  const domain = `.${tls.memberDomain ?? MEMBER_DOMAIN}`;
  const [other] = names.split(", ").filter((each) => each.endsWith(domain));
  const member = other?.slice(0, -domain.length);
  const named = member ? `, or name the member as the certificate does: --member ${member}` : "";
  return failed(
    name,
    `${tls.certFile} is not for ${identity}, so other members do not ask this one; ` +
      `its names are: ${names}`,
    { cure: `write a certificate with subjectAltName=DNS:${identity} to ${tls.certFile}${named}` },
  );
}

/** The other members prove each other by one authority, so this certificate should be of it. */
function authorityFinding({ certFile = "", caFile }: TlsOptions): Finding[] {
  if (caFile === undefined) return [];
  const name = `${NAME} authority`;
  const last = certificatesIn(certFile).at(-1);
  const isKnown = certificatesIn(caFile).some((ca) => last?.checkIssued(ca));
  if (isKnown) return [ok(name, caFile)];
  const cure = {
    cure:
      "members that take the same --tls-ca refuse this certificate: " +
      `let ${caFile} sign it, or add its issuer to ${caFile} on every member`,
  };
  return [warning(name, `${certFile} was not issued by ${caFile}`, cure)];
}
