#!/bin/sh
# as-user.sh COMMAND...: as root, runs a command as an ordinary user (DPOOL_TEST_UID, default 1000)
# with a cgroup that the user may divide, as systemd's Delegate=yes gives one. Exits with the
# command's exit code and removes the cgroup. Exit code 77: this machine cannot do it; the reason is
# on stderr.
set -u
uid=${DPOOL_TEST_UID:-1000}
name=dpool-user-$$

cannot() { echo "as-user: $*" >&2; exit 77; }
[ $# -gt 0 ] || { echo "usage: as-user.sh COMMAND..." >&2; exit 2; }
[ "$(id -u)" = 0 ] || cannot "only root can become another user"
command -v setpriv >/dev/null ||
  cannot "setpriv is not installed (on Debian or Ubuntu: apt-get install util-linux)"
as_user() { setpriv --reuid "$uid" --regid "$uid" --clear-groups --inh-caps=-all -- "$@"; }
as_user test -r . -a -x . ||
  cannot "user $uid cannot reach $PWD: check it out where everybody may go"
as_user test -r package.json -a -r node_modules/.package-lock.json ||
  cannot "user $uid cannot read what is in $PWD"

# The folder of this shell's group, by controller. On version 1 each controller has a tree of its
# own; on version 2 all controllers share one.
own_folder() {
  mount=$(awk -v want="$1" '{
    for (i = 7; $i != "-"; i++);
    v2 = want == "v2" && $(i + 1) == "cgroup2"
    v1 = $(i + 1) == "cgroup" && ("," $(i + 3) ",") ~ ("," want ",")
    if (v1 || v2) { print $5; exit }
  }' /proc/self/mountinfo)
  [ -n "$mount" ] || return 1
  path=$(awk -F: -v want="$1" '
    (want == "v2" && $1 == "0") || ("," $2 ",") ~ ("," want ",") { print $3; exit }
  ' /proc/self/cgroup)
  if [ -d "$mount$path" ]; then echo "${mount%/}${path%/}"; else echo "$mount"; fi
}

made=
clean() {
  for folder in $made; do
    # This shell leaves the group, then the command's processes end, then the folders go, deepest
    # first.
    echo $$ >"${folder%/*}/cgroup.procs" 2>/dev/null
    n=0
    while [ -d "$folder" ] && [ $n -lt 100 ]; do
      find "$folder" -depth -type d | while read -r each; do
        while read -r pid; do kill -KILL "$pid" 2>/dev/null; done <"$each/cgroup.procs"
        rmdir "$each" 2>/dev/null
      done
      n=$((n + 1))
      [ ! -d "$folder" ] || sleep 0.05
    done
  done
}
trap clean EXIT
trap 'exit 130' INT TERM HUP

delegate() {
  case " $made " in *" $1/$name "*) return ;; esac
  mkdir "$1/$name" 2>/dev/null || cannot "no group can be made in $1"
  made="$made $1/$name"
  chown -R "$uid:$uid" "$1/$name"
}
if own_folder memory >/dev/null; then
  for controller in memory pids cpu cpuacct; do
    folder=$(own_folder "$controller") || cannot "the cgroup controller $controller is not mounted"
    delegate "$folder"
    echo $$ >"$folder/$name/cgroup.procs" || cannot "$folder/$name takes no process"
  done
else
  folder=$(own_folder v2) || cannot "no cgroup hierarchy is mounted"
  # A group with processes gives its controllers to no group in it. The loop climbs to one that
  # can give them.
  until
    [ ! -f "$folder/cgroup.subtree_control" ] ||
      echo "+memory +pids +cpu" >"$folder/cgroup.subtree_control" 2>/dev/null
  do folder=${folder%/*}; done
  [ -f "$folder/cgroup.subtree_control" ] ||
    cannot "no group gives memory, pids and cpu to the groups in it"
  delegate "$folder"
  mkdir "$folder/$name/command" && chown -R "$uid:$uid" "$folder/$name"
  echo "+memory +pids +cpu" >"$folder/$name/cgroup.subtree_control" ||
    cannot "$folder/$name has no memory, pids and cpu"
  echo $$ >"$folder/$name/command/cgroup.procs" || cannot "$folder/$name takes no process"
fi

home=$(mktemp -d) && chown "$uid:$uid" "$home" || exit 1
trap 'clean; rm -rf -- "$home"' EXIT
HOME=$home TMPDIR=$home as_user "$@"
