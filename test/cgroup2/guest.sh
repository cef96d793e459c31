# Runs the two lists of tests.sh inside the virtual machine, as its first process. The files of a
# run come out in
# /mnt/result: <run>.exit (vitest's exit code) and <run>.json (vitest's report). However it ends,
# the machine goes off.
set -eu
exec </dev/null >/dev/console 2>&1
# Waits without a program: there may be no files any more to take one from.
trap 'echo o >/proc/sysrq-trigger; while :; do :; done' EXIT
stty -F /dev/console -onlcr
cd /mnt/checkout
. test/cgroup2/tests.sh

PATH="$PWD/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
export PATH LANG=C.UTF-8
# Plain lines, although the console is a terminal.
export NO_COLOR=1 CI=1
cgroups=/sys/fs/cgroup
user=1000

say() { echo "cgroup2: $* (up $(cut -d' ' -f1 /proc/uptime) s)"; }
say "kernel $(uname -r); controllers: $(cat $cgroups/cgroup.controllers); node $(node --version)"

# bubblewrap without root needs user namespaces. The first switch is Debian's own.
clone=/proc/sys/kernel/unprivileged_userns_clone
if [ -e $clone ]; then echo 1 >$clone; fi
echo 10000 >/proc/sys/user/max_user_namespaces
# Where vite writes: the folders belong to root, and the tests may be another user.
mkdir -p node_modules/.vite node_modules/.vite-temp
chmod -R a+rwX node_modules/.vite node_modules/.vite-temp

echo "+cpu +memory +pids" >$cgroups/cgroup.subtree_control
mkdir $cgroups/tests
echo "+cpu +memory +pids" >$cgroups/tests/cgroup.subtree_control

# run <name> <uid> <test file>...: vitest as that user, in the cgroup tests/<name>/main.
# tests/<name> is delegated as systemd's Delegate=yes with DelegateSubgroup=main does it: it and
# what it takes to split
# it up belong to the user, its limits do not, and it has no process of its own, so that controllers
# can be turned on.
run() (
  name=$1 uid=$2
  shift 2
  if [ $# = 0 ]; then exit 0; fi
  say "$name: $*"
  own=$cgroups/tests/$name
  mkdir -p "$own/main" "/tmp/home.$name"
  chown "$uid:$uid" "/tmp/home.$name"
  for each in "$own" "$own/main"; do
    for file in . cgroup.procs cgroup.threads cgroup.subtree_control; do
      chown "$uid:$uid" "$each/$file"
    done
  done
  code=0
  # The times suit an emulated processor. One file runs at a time, because the waits inside the
  # tests stay the same. RUN_SECONDS bounds a run that hangs, so that the other one has its time.
  sh -c 'echo $$ >"$0/main/cgroup.procs" && exec "$@"' "$own" \
    env HOME="/tmp/home.$name" timeout -k 10 "$RUN_SECONDS" \
    setpriv --reuid "$uid" --regid "$uid" --clear-groups \
    vitest run --config test/vitest.config.ts --maxWorkers=1 \
    --testTimeout=180000 --hookTimeout=180000 --reporter=verbose \
    --reporter=json --outputFile.json="/tmp/home.$name/report.json" "$@" || code=$?
  # What it left behind does not disturb the other run.
  echo 1 >"$own/cgroup.kill"
  cp "/tmp/home.$name/report.json" "/mnt/result/$name.json" || true
  echo "$code" >"/mnt/result/$name.exit"
  say "$name: ended with $code"
)
run as_root 0 $as_root
run as_user $user $as_user
