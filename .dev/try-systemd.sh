#!/bin/sh
# Runs the unit of examples/deploy/systemd under a real systemd, with all of its hardening, beside a
# Consul of its own. Shows that the sandbox holds, and that a reload and a stop do what they promise.
# systemd is the first process of its own namespaces and sees a copy of this machine's files, in
# memory. It changes nothing here. Needs root, `dist/` and control groups of version 1, each mounted
# by itself, as in some containers. There, systemd gives a user no controllers, so a drop-in does.
set -eu
cd "$(dirname "$0")/.."
say() { echo "try-systemd: $*" >&2; }
fail() { say "$*"; exit 1; }
controllers="cpu cpuacct cpuset memory devices freezer blkio pids"
groups=/sys/fs/cgroup

# Becomes the first process of the new namespaces: makes the copy, and becomes systemd.
boot() {
  home=$1
  mount --make-rprivate /
  mount -t tmpfs tmpfs "$home"
  mkdir "$home/changed" "$home/work" "$home/root"
  root=$home/root
  mount -t overlay overlay -o "lowerdir=/,upperdir=$home/changed,workdir=$home/work" "$root"
  mkdir -p "$root/opt/dpool"
  mount --bind . "$root/opt/dpool"
  mount -t proc proc "$root/proc"
  mount --rbind /sys "$root/sys"
  umount -l "$root/sys/fs/cgroup"
  mount -t tmpfs tmpfs "$root/sys/fs/cgroup"
  for each in $controllers; do
    mkdir "$root/sys/fs/cgroup/$each"
    mount -t cgroup -o "$each" cgroup "$root/sys/fs/cgroup/$each"
  done
  mkdir "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  for each in run dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$each"; done
  mount -t tmpfs tmpfs "$root/tmp"
  for each in null zero full random urandom tty; do
    touch "$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
  done
  mkdir "$root/dev/pts" "$root/dev/shm"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s pts/ptmx "$root/dev/ptmx"
  mount -t tmpfs tmpfs "$root/dev/shm"
  ln -s /proc/self/fd "$root/dev/fd"

  echo 'dpool:x:990:990::/nonexistent:/usr/sbin/nologin' >>"$root/etc/passwd"
  echo 'dpool:x:990:' >>"$root/etc/group"
  printf '#!/bin/sh\nexec /opt/dpool/node_modules/node/bin/node /opt/dpool/dist/cli.js "$@"\n' \
    >"$root/usr/local/bin/dpool"
  chmod 755 "$root/usr/local/bin/dpool"
  mkdir -p "$root/etc/dpool"
  cp "$DPOOL_TRY/tokens" examples/deploy/systemd/dpool.yaml "$root/etc/dpool"
  units=$root/etc/systemd/system
  cp examples/deploy/systemd/dpool.service "$units"
  mkdir "$units/dpool.service.d"
  # The drop-in leaves out the other services of a machine, and delegates as version 2 would.
  cat >"$units/dpool.service.d/try.conf" <<END
[Unit]
DefaultDependencies=no
Wants=
[Service]
Environment=DPOOL_PORT=$DPOOL_TRY_PORT DPOOL_CONSUL=http://127.0.0.1:$DPOOL_TRY_CONSUL
StandardOutput=file:/run/dpool.out
StandardError=file:/run/dpool.err
ExecStartPre=+/bin/sh -c 'cd $groups; chown -R dpool: memory/system.slice/dpool.service pids/system.slice/dpool.service; chown dpool: cpu cpu/* cpuacct cpuacct/*'
END
  printf '[Unit]\nDefaultDependencies=no\nWants=dpool.service\n' >"$units/dpool-try.target"
  for each in journald udevd sysctl modules-load binfmt tmpfiles-setup; do
    ln -sf /dev/null "$units/systemd-$each.service"
  done
  cd "$root"
  mkdir host
  pivot_root . host
  umount -l /host
  mount --make-rshared /
  exec env -i container=lxc PATH=/usr/sbin:/usr/bin /lib/systemd/systemd \
    --unit=dpool-try.target --show-status=no --log-target=null </dev/null
}
if [ "${1:-}" = boot ]; then boot "$2"; fi

[ "$(id -u)" = 0 ] || fail "needs root"
[ -x /lib/systemd/systemd ] || fail "needs systemd (apt-get install systemd)"
for each in $controllers systemd; do
  [ -d "$groups/$each" ] || fail "needs the control groups of version 1; $groups/$each is missing"
done
consul=${DPOOL_TEST_CONSUL:-$(command -v consul || echo .tools/usr/bin/consul)}
[ -x "$consul" ] || fail "needs Consul: npm run setup -- test"
node=node_modules/.bin/node
dpool() { DPOOL_TOKEN=$token $node dist/cli.js "$@"; }
port=${DPOOL_TRY_PORT:-27400}
consul_port=$((port + 1))

home=$(mktemp -d)
group=dpool-try-$$
started=
clean() {
  for each in $started; do kill -KILL "$each" 2>/dev/null || true; done
  for each in $started; do wait "$each" 2>/dev/null || true; done
  for each in $controllers systemd; do
    find "$groups/$each/$group" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done
  rm -rf "$home"
}
trap clean EXIT
trap 'exit 1' INT TERM HUP

token=
dpool token try --scope admin --scope call --scope observe >"$home/tokens" 2>"$home/token"
token=$(cat "$home/token")
"$consul" agent -dev -bind=127.0.0.1 -client=127.0.0.1 -dns-port=-1 -grpc-port=-1 \
  -http-port=$consul_port -serf-lan-port=$((port + 2)) -serf-wan-port=$((port + 3)) \
  -server-port=$((port + 4)) -log-level=err >"$home/consul.log" 2>&1 &
started="$started $!"

# The groups of this systemd are below one of their own, which is the root that it sees.
for each in $controllers systemd; do
  mkdir "$groups/$each/$group"
  if [ $each = cpuset ]; then
    for file in cpuset.cpus cpuset.mems; do
      cat "$groups/cpuset/$file" >"$groups/cpuset/$group/$file"
    done
  fi
done
mkdir "$home/namespace"
DPOOL_TRY=$home DPOOL_TRY_PORT=$port DPOOL_TRY_CONSUL=$consul_port sh -c '
  groups=$1 group=$2 controllers=$3
  for each in $controllers; do echo $$ >"$groups/$each/$group/cgroup.procs"; done
  exec unshare --mount --pid --cgroup --ipc --uts --fork --kill-child sh "$4" boot "$5"
' sh "$groups" "$group" "$controllers systemd" "$0" "$home/namespace" >"$home/boot.log" 2>&1 &
unshare=$!
started="$started $unshare"

inside() { nsenter --target "$(pgrep -P $unshare)" --mount --pid --uts --ipc --cgroup -- "$@"; }
tries=0
until curl -sf "http://127.0.0.1:$port/readyz" >"$home/ready"; do
  tries=$((tries + 1))
  if [ $tries -gt 300 ]; then
    cat "$home/boot.log" >&2
    inside cat /run/dpool.err >&2 || true
    fail "the member is not ready after 30 seconds"
  fi
  sleep 0.1
done
say "systemd $(inside systemctl show --property Version --value) runs the member"
cat "$home/ready"
grep -q '"sandbox":"full"' "$home/ready" || fail "expected the sandbox full"
url=http://127.0.0.1:$port
dpool call pipeline --url $url -- sh -c 'id -u; grep -E "CapBnd|NoNewPrivs" /proc/self/status'
code=0
dpool call pipeline --url $url -- tail /dev/zero 2>"$home/memory" || code=$?
grep -q out_of_memory "$home/memory" || fail "expected out_of_memory; got $code: $(cat "$home/memory")"
say "a child out of memory ended alone"
inside sed -i 's/pipeline: .*/pipeline: 8/' /etc/dpool/dpool.yaml
inside systemctl reload dpool
inside sh -c 'until grep -q "SIGHUP: changed" /run/dpool.err; do sleep 0.1; done'
say "reloaded"
child=$(dpool place pipeline --url $url -- sleep 3)
inside systemctl stop dpool
inside systemctl show dpool --property Result --property ExecMainStatus | tee "$home/stopped"
grep -q Result=success "$home/stopped" || fail "the stop failed"
say "the stop waited for $child"
