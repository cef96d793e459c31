/**
 * The socket on which a child finds the member's proxy. It listens on the loopback of the child's
 * network, and the member accepts its connections: a socket stays in the network in which it was
 * made. Node can neither enter a network nor receive a descriptor from a program that is not Node.
 * A Perl script therefore makes the socket and sends it in the form in which Node sends a handle.
 */
import type { ChildProcess } from "node:child_process";
import { Server } from "node:net";
import { ENVIRONMENT_FD, LISTENER_FD } from "../fds.ts";

/** The registered port of web caches. */
const PORT = 3_128;
/** Connections that wait until the member accepts them. */
const BACKLOG = 64;
const PROXY = `http://127.0.0.1:${PORT}`;
const OWN_LOOPBACK = "localhost,127.0.0.1,::1";

/** The variables by which programs find the proxy. */
export const PROXY_ENVIRONMENT = {
  HTTP_PROXY: PROXY,
  HTTPS_PROXY: PROXY,
  http_proxy: PROXY,
  https_proxy: PROXY,
  NO_PROXY: OWN_LOOPBACK,
  no_proxy: OWN_LOOPBACK,
  NODE_USE_ENV_PROXY: "1",
};

/** The number of `sendmsg`, by `process.arch`. */
const SENDMSG: Readonly<Record<string, number>> = { x64: 46, arm64: 211 };

/**
 * Listens, sends the socket (SCM_RIGHTS, `struct msghdr` of a 64-bit Linux), and closes the channel
 * to the member. Only then it takes over the child's variables, with which a caller could make Perl
 * run other code, and becomes the program.
 */
const SCRIPT = `
my ($port, $sendmsg) = splice @ARGV, 0, 2;
socket(my $listener, 2, 1, 0) or die "socket: $!\\n";
bind($listener, pack("S n C4 x8", 2, $port, 127, 0, 0, 1)) or die "bind: $!\\n";
listen($listener, ${BACKLOG}) or die "listen: $!\\n";
my $line = qq({"cmd":"NODE_HANDLE","type":"net.Server","msg":{}}\\n);
my $bytes = pack("P Q", $line, length $line);
my $rights = pack("Q l l l x4", 20, 1, 1, fileno $listener);
my $message = pack("Q L x4 P Q P Q l x4", 0, 0, $bytes, 1, $rights, length $rights, 0);
syscall($sendmsg, ${LISTENER_FD}, $message, 0) == length $line or die "sendmsg: $!\\n";
open(my $channel, "+<&=", ${LISTENER_FD}) or die "channel: $!\\n";
close $channel;
close $listener;
open(my $variables, "<&=", ${ENVIRONMENT_FD}) or die "variables: $!\\n";
%ENV = (PWD => $ENV{PWD}, map { split /=/, $_, 2 } split /\\0/, join "", <$variables>);
close $variables;
exec { $ARGV[0] } @ARGV or die "exec $ARGV[0]: $!\\n";`;

/** Its path in the sandbox, where a caller can put no file. */
export const NEEDED_PROGRAM = "/usr/bin/perl";

/** The beginning of the command line inside the sandbox that makes the socket. */
export function listenArguments(): string[] {
  return [NEEDED_PROGRAM, "-e", SCRIPT, String(PORT), String(SENDMSG[process.arch])];
}

/** Keeps Node's variables for its own children, which a child could read, from bubblewrap. */
export const WITHOUT_CHANNEL = [
  ...["env", "-u", "NODE_CHANNEL_FD", "-u", "NODE_CHANNEL_SERIALIZATION_MODE"],
];

/** Variables as the script reads them. */
export function environmentInput(variables: Readonly<Record<string, string>>): Buffer {
  const entries = Object.entries(variables);
  return Buffer.from(entries.map(([name, value]) => `${name}=${value}\0`).join(""));
}

/**
 * Serves the socket that the script sends.
 *
 * @returns why none came; undefined when it came. Resolves when the channel is closed.
 */
export function serveListener(
  child: ChildProcess,
  serve: (listener: Server) => void,
): Promise<string | undefined> {
  let trouble: string | undefined =
    `${NEEDED_PROGRAM} did not open the way to the proxy (network.allow)`;
  child.on("error", () => {});
  child.once("message", (_, listener) => {
    if (!(listener instanceof Server)) return;
    trouble = undefined;
    serve(listener);
  });
  return new Promise((resolve) => child.once("disconnect", () => resolve(trouble)));
}
