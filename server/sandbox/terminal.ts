/**
 * The program around a command that gives it a terminal. It runs inside the sandbox, so the
 * terminal belongs to the child and to no terminal of the host. Node makes no terminals, and a
 * native module would; perl is a part of every Debian and Ubuntu.
 */
import type { TerminalSize } from "../../openapi/schemas/limits.ts";
import { TERMINAL_FD } from "./fds.ts";

export const PERL = "/usr/bin/perl";

/** The generation of the command below the program that copies its input and output. */
export const DEPTH_WITH_TERMINAL = 1;

/**
 * Perl has no names for these requests of `asm-generic/ioctls.h`: TIOCSPTLCK, TIOCGPTN, TIOCSCTTY
 * and TIOCSWINSZ; nor for IUTF8, without which a backspace takes one byte of a letter.
 *
 * - A pidfd (system call 434 on every architecture) tells the end of the command among the other
 *   descriptors. A signal could come just before the wait.
 * - At most 4,096 bytes go to the output at a time, which a pipe with room takes at once. So Ctrl-C
 *   reaches a command whose output nobody takes.
 * - Once the command has ended, what the terminal holds is read without a wait: processes that it
 *   left may keep the terminal open.
 * - The program keeps the terminal's other end: a command that closes its own would look ended.
 * - The end of the input is typed as Ctrl-D: twice behind an unfinished line, which the first ends.
 */
const SCRIPT = `
use strict; no warnings; use Fcntl; use POSIX ();
my ($rows, $columns, @argv) = @ARGV;
sub fail { print STDERR "distributed-pool: no terminal: $_[0]: $!\\n"; POSIX::_exit(125) }

my $number = pack "i", 0;
sysopen my $terminal, "/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK or fail "/dev/ptmx";
ioctl $terminal, 0x40045431, $number or fail "TIOCSPTLCK";
ioctl $terminal, 0x80045430, $number or fail "TIOCGPTN";
my $name = "/dev/pts/" . unpack "i", $number;
sysopen my $other, $name, O_RDWR | O_NOCTTY or fail $name;
my $fd = fileno $terminal;
my $modes = POSIX::Termios->new;
$modes->getattr(fileno $other);
$modes->setiflag($modes->getiflag | 0x4000);
$modes->setattr(fileno $other);
sub resize { ioctl $terminal, 0x5414, pack "S4", @_, 0, 0 }
resize $rows, $columns;

defined(my $pid = fork) or fail "fork";
unless ($pid) {
  POSIX::setsid();
  ioctl $other, 0x540e, 0;
  POSIX::dup2(fileno $other, $_) for 0 .. 2;
  POSIX::close(${TERMINAL_FD});
  exec { $argv[0] } @argv;
  print STDERR "$argv[0]: $!\\n";
  POSIX::_exit($!{ENOENT} ? 127 : 126);
}
my $ending = syscall 434, $pid, 0;
fail "pidfd_open" if $ending < 0;

my $has_sizes = open my $from_member, "<&=${TERMINAL_FD}";
my ($input, $output, $sizes, $is_open, $has_ended, $last) = ("", "", "", 1, 0, "\\n");
for (;;) {
  my ($r, $w) = ("", "");
  vec($r, $ending, 1) = 1 unless $has_ended;
  vec($r, 0, 1) = 1 if $is_open && $input eq "";
  vec($r, ${TERMINAL_FD}, 1) = 1 if $has_sizes;
  vec($r, $fd, 1) = 1 if $output eq "";
  vec($w, $fd, 1) = 1 if $input ne "";
  vec($w, 1, 1) = 1 if $output ne "";
  next if select($r, $w, undef, $has_ended && $output eq "" ? 0 : undef) < 0;
  if (vec $w, 1, 1) { substr($output, 0, syswrite STDOUT, $output) = "" }
  if ($output eq "" && (vec($r, $fd, 1) || $has_ended)) {
    last if !sysread($terminal, $output, 4096) && $has_ended;
  }
  if (vec $w, $fd, 1) { substr($input, 0, syswrite($terminal, $input) // 0) = "" }
  if (vec $r, 0, 1) {
    if (sysread STDIN, $input, 4096) { $last = substr $input, -1 }
    else {
      $is_open = 0;
      $modes->getattr($fd);
      $input = chr($modes->getcc(POSIX::VEOF)) x ($last eq "\\n" ? 1 : 2);
    }
  }
  if (vec $r, ${TERMINAL_FD}, 1) {
    $has_sizes = sysread $from_member, $sizes, 4096, length $sizes;
    resize $1, $2 while $sizes =~ s/^(\\d+) (\\d+)\\n//;
  }
  if (!$has_ended && vec $r, $ending, 1) { $has_ended = 1; close $other }
}
waitpid $pid, 0;
POSIX::_exit($? & 127 ? 128 + ($? & 127) : $? >> 8);
`;

/**
 * The command line that runs a command in a terminal of its own. Pure.
 *
 * It types its standard input, and its standard output is all that the command shows. It exits with
 * the command's code, or 128 + n for a signal n; with 127 or 126 where the command cannot be
 * started, and with 125 where there is no terminal. `-t` makes perl ignore the command's variables.
 */
export function inTerminal(
  argv: readonly string[],
  { rows, columns }: TerminalSize,
): readonly string[] {
  return [PERL, "-t", "-e", SCRIPT, "--", String(rows), String(columns), ...argv];
}
