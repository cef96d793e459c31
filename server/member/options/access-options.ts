/** The options that say who may call, and how a member and its callers know each other. */
import { z } from "zod";
import type { MemberOption } from "./option.ts";

const DOMAIN = /^[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63}){0,10}$/;

export const ACCESS_OPTIONS = {
  tokenFile: {
    value: "FILE",
    doc:
      "The tokens that callers have to show, as `dpool token` prints them; " +
      "read again when it changes.",
  },
  jwksUrl: {
    value: "URL",
    doc:
      "Take JWTs that are signed with a key found here, at an https URL or http on loopback; " +
      "with --jwt-issuer and --jwt-audience.",
    path: "jwks.url",
  },
  jwtIssuer: {
    value: "ISSUER",
    doc: "`iss` that a JWT must have.",
    path: "jwks.issuer",
  },
  jwtAudience: {
    value: "AUDIENCE",
    doc: "`aud` that a JWT must have.",
    path: "jwks.audience",
  },
  notifySecretFile: {
    value: "FILE",
    doc:
      "The key that signs the notifications of children's endings: whsec_ and 24 to 64 bytes as " +
      "base64. Read once, at the start.",
  },
  tlsCert: {
    value: "FILE",
    doc:
      "Serve https with this certificate (PEM); also shown to other members. " +
      "Read again when it changes.",
    path: "tls.certFile",
  },
  tlsKey: { value: "FILE", doc: "The certificate's key (PEM).", path: "tls.keyFile" },
  tlsClientCa: {
    value: "FILE",
    doc: "Let in only clients that show a certificate of this authority (PEM).",
    path: "tls.clientCaFile",
  },
  tlsCa: {
    value: "FILE",
    doc: "The authority of the other members' certificates (PEM).",
    otherwise: "the well-known ones",
    path: "tls.caFile",
  },
  tlsMemberDomain: {
    value: "DOMAIN",
    doc:
      "A member NAME has to show the others a certificate for NAME.DOMAIN; " +
      "the host that Consul gives is not checked.",
    otherwise: "distributed-pool",
    schema: z.string().regex(DOMAIN, "expected a domain, such as pools.example.org"),
    path: "tls.memberDomain",
  },
} as const satisfies Readonly<Record<string, MemberOption>>;
