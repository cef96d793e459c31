/** The contents of a child's `/etc`: made-up names, and parts of the host's that hold no secret. */

/** The child's working folder: private, writable, and removed with the child. */
export const WORKSPACE = "/work";
/** The name of user 65534. The kernel shows that number for the owners of the host's files, too. */
export const USER_NAME = "nobody";
export const HOST_NAME = "child";

/** The names that a child sees instead of the host's. */
export const MADE_UP: Readonly<Record<string, string>> = {
  passwd:
    "root:x:0:0:root:/root:/usr/sbin/nologin\n" +
    `${USER_NAME}:x:65534:65534:${USER_NAME}:${WORKSPACE}:/bin/sh\n`,
  group: "root:x:0:\nnogroup:x:65534:\n",
  hosts: `127.0.0.1 localhost ${HOST_NAME}\n::1 localhost ip6-localhost ip6-loopback\n`,
  // Without a name server in it, an unknown name is unknown at once, and nobody tries again.
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\nservices: files\nprotocols: files\n",
};

/**
 * The resolver of a child without a network, for programs that do not read `nsswitch.conf`. The
 * address is one for documentation (RFC 5737), to which the child has no route: c-ares fails at
 * once. A refused connection keeps Bun's c-ares for 25 s, and musl waits as long as `timeout` says.
 */
export const NO_RESOLVER = "nameserver 192.0.2.1\noptions timeout:0 attempts:1\n";

/** Host files that resolve names. A child sees them only with the host's network. */
export const NETWORK_FILES = [
  "/etc/resolv.conf",
  "/etc/hosts",
  "/etc/nsswitch.conf",
  "/etc/gai.conf",
];

/**
 * Parts that packages replace while a member runs: lists of libraries, programs and authorities.
 * Children see them as they are when the child starts.
 */
export const LIVE_PARTS = [
  "alternatives",
  "ca-certificates/extracted",
  "ld.so.cache",
  "pki/ca-trust/extracted",
  "pki/tls/certs",
  "ssl/certs",
];

/**
 * Parts without which programs of packages do not run, or run otherwise. Each belongs to packages,
 * names no user, host or key, and is readable by every user. Configuration that often holds
 * passwords or tokens is missing: git, npm, pip, Maven, wget, R, shells, `environment`, `default`.
 */
export const COPIED_PARTS = [
  // Languages, which do not start or find no libraries.
  "java",
  "java-*-openjdk",
  "perl",
  "python3",
  "python3.*",
  // Libraries: ciphers, types of files, fonts, services, time zone, terminals.
  "crypto-policies",
  "fonts",
  "locale.alias",
  "localtime",
  "magic",
  "magic.mime",
  "mime.types",
  "pki/tls/cert.pem",
  "pki/tls/openssl.cnf",
  "protocols",
  "services",
  "ssl/cert.pem",
  "ssl/openssl.cnf",
  "terminfo",
  "timezone",
  "xattr.conf",
  "xml",
  // Programs for pictures and documents.
  "ghostscript",
  "ImageMagick-*",
  // The version of the system, which `/usr/lib/os-release` tells, too.
  "debian_version",
  "lsb-release",
  "os-release",
];
