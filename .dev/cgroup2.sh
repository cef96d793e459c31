#!/bin/sh
# Runs the tests that test/cgroup2/tests.sh lists on a real cgroup v2, in a virtual machine with
# Debian's kernel. The machine sees the files of this one and changes none of them. It needs neither
# KVM nor a cgroup v2 here. Exit code 0: every test passed.
# Everything that it fetches and writes is in .tools/cgroup2: kernel/, console.log, result/.
set -eu
cd "$(dirname "$0")/.."
# Under emulation the tests take twenty to forty times as long.
minutes=${MINUTES:-80}
home=.tools/cgroup2
say() { echo "cgroup2: $*" >&2; }
fail() { say "$*"; exit 1; }

update() { [ "$(id -u)" != 0 ] || apt-get update -qq >/dev/null; }

[ "$(uname -sm)" = "Linux x86_64" ] && command -v apt-get >/dev/null ||
  fail "needs Debian on x86_64"
if ! command -v qemu-system-x86_64 >/dev/null; then
  [ "$(id -u)" = 0 ] ||
    fail "please install qemu-system-x86 (apt-get install qemu-system-x86), then run this again"
  say "installing qemu-system-x86"
  update
  DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq --no-install-recommends qemu-system-x86 >/dev/null
fi
# qemu inherits the lock and holds it too.
mkdir -p $home
exec 9>$home/lock
flock -n 9 || fail "another run has $home"

# The kernel with all drivers. The smaller one for clouds has no 9p, which shows this machine's
# files to the virtual one.
if [ ! -f $home/kernel/done ]; then
  update
  kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
  [ -n "$kernel" ] || fail "apt knows no linux-image-amd64 (it is Debian's)"
  say "unpacking $kernel into $home"
  rm -rf $home/kernel
  mkdir -p $home/kernel/unpacked $home/kernel/initramfs/lib/modules
  (
    cd $home/kernel
    apt-get download -qq -o APT::Sandbox::User=root "$kernel" busybox-static
    for each in *.deb; do dpkg -x "$each" unpacked; done
  ) >&2
  (
    cd $home/kernel
    cp unpacked/boot/vmlinuz-* vmlinuz
    cd initramfs
    mkdir bin proc lower upper root
    cp "$(find ../unpacked -name busybox -type f -perm -100)" bin/busybox
    from=$(dirname "$(find ../unpacked -name modules.order)")
    to=lib/modules/$(basename "$from")
    drivers="drivers/virtio fs/9p fs/fscache fs/netfs fs/overlayfs net/9p"
    for each in $drivers; do
      each=kernel/$each
      if [ -d "$from/$each" ]; then mkdir -p "$to/$each" && cp -R "$from/$each/." "$to/$each"; fi
    done
    find lib -name '*.ko.xz' -exec bin/busybox unxz {} +
    bin/busybox depmod -b . "$(basename "$to")"
  )
  rm -rf $home/kernel/unpacked $home/kernel/*.deb
  touch $home/kernel/done
fi
busybox=$PWD/$home/kernel/initramfs/bin/busybox

rm -rf $home/result $home/console.log
mkdir -p $home/result
: >$home/console.log
cp test/cgroup2/init.sh $home/kernel/initramfs/init
chmod +x $home/kernel/initramfs/init
printf %s "$PWD" >$home/kernel/initramfs/checkout
(cd $home/kernel/initramfs && find . | "$busybox" cpio -o -H newc 2>/dev/null | gzip -1) \
  >$home/kernel/initramfs.gz

# qemu's own choice is not enough: a /dev/kvm that opens may still be unable to run anything.
accel=tcg
if [ -w /dev/kvm ] && grep -qE '^flags.* (vmx|svm)( |$)' /proc/cpuinfo; then accel=kvm; fi
say "booting with $accel, for at most $minutes minutes"
began=$(date +%s)
# RUN_SECONDS on the kernel's command line becomes a variable of the first process.
timeout -k 10 "${minutes}m" qemu-system-x86_64 \
  -accel $accel -cpu max -smp 2 -m 4G -nodefaults -display none -no-reboot \
  -kernel $home/kernel/vmlinuz -initrd $home/kernel/initramfs.gz \
  -append "console=ttyS0 quiet panic=-1 RUN_SECONDS=$((minutes * 60 / 2 - 30))" \
  -virtfs local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap \
  -virtfs local,path=$home/result,mount_tag=result,security_model=none \
  -serial file:$home/console.log </dev/null >&2 &
qemu=$!
trap 'kill $qemu 2>/dev/null || true' EXIT
trap 'exit 1' INT TERM HUP
# Both run in the background, so that this shell handles a signal at once. tail ends after qemu.
tail -s 0.2 -n +1 -f --pid=$qemu $home/console.log >&2 9>&- &
tail=$!
ended=0
wait $qemu || ended=$?
wait $tail || true
trap - EXIT
say "the machine ended with $ended after $(($(date +%s) - began)) s; its console: $home/console.log"

. test/cgroup2/tests.sh
runs=
if [ -n "$(echo $as_root)" ]; then runs="$runs as_root"; fi
if [ -n "$(echo $as_user)" ]; then runs="$runs as_user"; fi
PATH="$PWD/node_modules/.bin:$PATH" node -e '
  const [folder, ...runs] = process.argv.slice(1);
  const read = (name) => {
    try {
      return require("fs").readFileSync(`${folder}/${name}`, "utf8");
    } catch {
      return "";
    }
  };
  let passed = runs.length > 0;
  for (const run of runs) {
    const code = read(`${run}.exit`).trim() || "none, it did not come to its end";
    const { testResults } = JSON.parse(read(`${run}.json`) || `{"testResults":[]}`);
    const tests = testResults.flatMap((file) => file.assertionResults);
    const count = (status) => tests.filter((test) => test.status === status).length;
    for (const { status, fullName } of tests)
      if (status !== "passed") console.log(`${run}: ${status}: ${fullName}`);
    const counts = `${count("passed")} of ${tests.length} passed, ${count("failed")} failed`;
    console.log(`${run}: ${counts}; exit code: ${code}`);
    // A run whose tests are all skipped shows nothing.
    passed &&= code === "0" && count("passed") > 0;
  }
  process.exitCode = passed ? 0 : 1;
' $home/result $runs
