/**
 * The program of the spawner, which forks children for the server. It does in one process what the
 * chain of small programs does (`chain-arguments.ts`), and then becomes bubblewrap. Perl can make
 * any system call, and is a part of every Debian and Ubuntu.
 */

/** The name of the process. The kernel keeps 15 characters. */
export const SPAWNER_NAME = "dpool-spawner";

export const PERL = "/usr/bin/perl";
/** The spawner's descriptor for Node's channel. Requests come by descriptor 0. */
const CHANNEL = 3;

/** The descriptors of a child are below, and what the spawner opens is above. */
const FIRST_OWN_FD = 40;

/** System calls by name: on x64, and on arm64. */
const CALLS: Readonly<Record<string, readonly [x64: number, arm64: number]>> = {
  sendmsg: [46, 211],
  setgroups: [116, 159],
  setresuid: [117, 147],
  setresgid: [119, 149],
  capset: [126, 91],
  prctl: [157, 167],
  sched_setaffinity: [203, 122],
  waitid: [247, 95],
  signalfd4: [289, 74],
  prlimit64: [302, 261],
  memfd_create: [319, 279],
};

/**
 * Requests are frames of texts, each with its length before it. Answers are lines of JSON, in the
 * form of Node's channels.
 *
 * - `start` opens the server's pipes at their paths in `/proc`, makes sockets whose other ends go
 *   to the server (SCM_RIGHTS, `struct msghdr` of a 64-bit Linux), and files in memory for inputs.
 * - The server's end of a socket does not block (O_NONBLOCK): Node leaves it as it comes.
 * - A signalfd tells the end of children. Perl's own handlers could come just before the wait.
 * - A child that has ended stays until the server has heard of it (WNOWAIT), so that no signal goes
 *   to another process of the same id.
 * - The spawner ends with the server (PR_SET_PDEATHSIG), and bubblewrap with the spawner.
 */
const SCRIPT = `
use strict; no warnings; use POSIX (); use Errno ();
my ($server, %numbers) = @ARGV;
%ENV = (PATH => $ENV{PATH});
$0 = "${SPAWNER_NAME}";
sub call { my $number = 0 + $numbers{+shift}; syscall $number, @_ }
call "prctl", 1, 9, 0, 0, 0;

my @low;
do { sysopen $low[@low], "/dev/null", 0 or exit 1 } while fileno($low[-1]) < ${FIRST_OWN_FD};
open my $channel, "+<&=", ${CHANNEL} or exit 1;
fcntl $channel, 2, 1;
sysopen my $null, "/dev/null", 2 or exit 1;
my $chld = POSIX::SigSet->new(POSIX::SIGCHLD());
POSIX::sigprocmask(POSIX::SIG_BLOCK(), $chld);
my $number = call "signalfd4", -1, pack("Q", 1 << POSIX::SIGCHLD() - 1), 8, 02004000;
open my $ends, "<&=", $number or exit 1;
opendir my $check, "/proc/$server/fd" or exit 1;

my $spawner = $$;
my $probe = "probe";
my $memory = call "memfd_create", $probe, 1;
$memory >= 0 or exit 1;
POSIX::close($memory);

my (%id_of, @pipes, @sent);
sub tell_server { syswrite $channel, "$_[0]\\n" }
sub send_socket {
  my ($id, $pid, $fd, $socket) = @_;
  my $message = sprintf '{"id":%d,"pid":%d,"fd":%d}', $id, $pid, $fd;
  my $line = qq({"cmd":"NODE_HANDLE","type":"net.Socket","msg":$message}\\n);
  my $bytes = pack "P Q", $line, length $line;
  my $rights = pack "Q l l l x4", 20, 1, 1, fileno $socket;
  my $header = pack "Q L x4 P Q P Q l x4", 0, 0, $bytes, 1, $rights, length $rights, 0;
  my $is_sent = call("sendmsg", ${CHANNEL}, $header, 0) == length $line;
  push @sent, [$pid, $socket] if $is_sent;
  return $is_sent;
}
sub list { unpack "(N/a*)*", $_[0] }
sub refuse { tell_server sprintf '{"id":%d,"errno":%d}', $_[0], $! }

sub start {
  my ($id, $uid, $cores, $limits, $joins, $opens, $sockets, $inputs, $argv) = @_;
  my (@fds, @own);
  my @opens = list $opens;
  while (my ($fd, $flags, $path) = splice @opens, 0, 3) {
    sysopen my $file, $path, $flags or return refuse $id;
    push @fds, [$fd, $file];
  }
  for my $fd (list $sockets) {
    socketpair my $mine, my $theirs, 1, 1, 0 or return refuse $id;
    fcntl $mine, 4, 04002 or return refuse $id;
    push @fds, [$fd, $theirs];
    push @own, [$fd, $mine];
  }
  my @inputs = list $inputs;
  while (my ($fd, $data) = splice @inputs, 0, 2) {
    my $name = "input";
    my $number = call "memfd_create", $name, 1;
    open my $file, "+<&=", $number or return refuse $id;
    syswrite($file, $data) == length $data or return refuse $id;
    sysseek $file, 0, 0;
    push @fds, [$fd, $file];
  }
  my %has = map { $_->[0] => 1 } @fds;
  push @fds, map { [$_, $null] } grep { !$has{$_} } 0 .. 2;
  my $pid = fork;
  return refuse $id unless defined $pid;
  become($uid, $cores, $limits, $joins, \\@fds, $argv) unless $pid;
  $id_of{$pid} = $id;
  for (@own) {
    next if send_socket $id, $pid, @$_;
    kill KILL => $pid;
    return refuse $id;
  }
}

sub fail { print STDERR "$_[0]: $!\\n"; POSIX::_exit(97) }
sub become {
  my ($uid, $cores, $limits, $joins, $fds, $argv) = @_;
  POSIX::setsid();
  POSIX::sigprocmask(POSIX::SIG_UNBLOCK(), $chld);
  defined POSIX::dup2(fileno $_->[1], $_->[0]) or fail "dup2" for @$fds;
  if (sysopen my $score, "/proc/self/oom_score_adj", 1) { syswrite $score, "500" }
  for (list $joins) {
    sysopen my $group, $_, 1 or fail $_;
    syswrite $group, "0" or fail $_;
  }
  if (length $cores) {
    call("sched_setaffinity", 0, length $cores, $cores) == 0 or fail "sched_setaffinity";
  }
  if (length $uid) {
    for (0 .. 63) {
      next if call("prctl", 24, $_, 0, 0, 0) == 0;
      $!{EINVAL} ? last : fail "capability bounding set";
    }
    call("setgroups", 0, 0) == 0 or fail "setgroups";
    call("setresgid", (0 + $uid) x 3) == 0 or fail "setresgid";
    call("setresuid", (0 + $uid) x 3) == 0 or fail "setresuid";
    call("capset", pack("L l", 0x20080522, 0), pack("L6", (0) x 6)) == 0 or fail "capset";
  }
  # A change of the user clears it. The spawner may have ended before.
  call("prctl", 1, 9, 0, 0, 0) == 0 or fail "parent's death";
  getppid == $spawner or POSIX::_exit(97);
  call("prctl", 38, 1, 0, 0, 0) == 0 or fail "no_new_privs";
  my @limits = list $limits;
  while (my ($resource, $value) = splice @limits, 0, 2) {
    call("prlimit64", 0, 0 + $resource, pack("QQ", $value, $value), 0) == 0 or fail "prlimit";
  }
  my @argv = list $argv;
  exec { $argv[0] } @argv;
  fail "$argv[0]: not found";
}

# The server has a socket, or has no descriptor left for it (EMFILE). Until then the spawner holds
# it too: bubblewrap takes the end of the socket on which it waits for leave to begin.
sub take_answer {
  my ($pid, $socket) = @{shift @sent};
  return unless $_[0] =~ /NACK/ and exists $id_of{$pid};
  kill KILL => $pid;
  tell_server sprintf '{"id":%d,"errno":24}', $id_of{$pid};
}

sub look_for_ends {
  for my $pid (keys %id_of) {
    my $info = "\\0" x 128;
    call("waitid", 1, 0 + $pid, $info, 0x01000005, 0) == 0 or next;
    my ($code, $who, $status) = unpack "x8 l x4 l x4 l", $info;
    next unless $who;
    kill KILL => -$pid;
    tell_server sprintf '{"id":%d,"pid":%d,"%s":%d}', delete $id_of{$pid}, $pid,
      $code == 1 ? "code" : "signal", $status;
  }
}

my %verbs = (
  start => \\&start,
  reap => sub { waitpid $_[0], 0 },
  pipes => sub {
    @pipes = ();
    for (1 .. $_[0]) { pipe my $reader, my $writer or last; push @pipes, $writer, $reader }
    my @writers = map { fileno $pipes[$_ * 2] } 0 .. @pipes / 2 - 1;
    tell_server '{"pipes":[' . join(",", @writers) . "]}";
  },
  drop => sub { @pipes = () },
);
tell_server '{"ready":true}';
my ($wanted, $buffer, $answers) = ("", "", "");
vec($wanted, $_, 1) = 1 for 0, ${CHANNEL}, fileno $ends;
for (;;) {
  my $ready = $wanted;
  select($ready, undef, undef, undef) > 0 or next;
  if (vec $ready, fileno $ends, 1) {
    sysread $ends, my $signals, 4096;
    look_for_ends();
  }
  if (vec $ready, ${CHANNEL}, 1) {
    sysread $channel, $answers, 65536, length $answers or exit;
    take_answer($1) while $answers =~ s/^(.*)\\n//;
  }
  next unless vec $ready, 0, 1;
  sysread STDIN, $buffer, 65536, length $buffer or exit;
  while (length $buffer >= 4 and length $buffer >= 4 + (my $length = unpack "N", $buffer)) {
    my ($verb, @texts) = list substr $buffer, 4, $length;
    substr $buffer, 0, 4 + $length, "";
    $verbs{$verb}->(@texts);
  }
}
`;

/** The arguments of `perl`. */
export function spawnerArguments(): string[] {
  const column = process.arch === "arm64" ? 1 : 0;
  const numbers = Object.entries(CALLS).flatMap(([name, each]) => [name, String(each[column])]);
  return ["-e", SCRIPT, "--", String(process.pid), ...numbers];
}
