#!/bin/busybox sh
# First process of the virtual machine, in the initramfs: makes the host's files its root and goes
# on in guest.sh.
# A failure ends it, the kernel panics for want of a first process, and qemu ends.
set -eu
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
modprobe -a virtio_pci 9pnet_virtio 9p overlay

# What the machine writes stays in its memory: the host's files are the lower, read-only half.
# loose: nobody else changes the files meanwhile, so what has been read once is not asked for again.
mount -t 9p -o ro,trans=virtio,version=9p2000.L,msize=512000,cache=loose host /lower
mount -t tmpfs -o mode=755 tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work overlay /root

# At a place of its own, because it may lie below a folder that is hidden in here (/tmp) or closed
# to other users (/root).
mkdir -p /root/mnt/checkout /root/mnt/result
mount --bind "/root$(cat /checkout)" /root/mnt/checkout
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000 result /root/mnt/result

mount -t sysfs sysfs /root/sys
mount -t devtmpfs devtmpfs /root/dev
mkdir -p /root/dev/pts /root/dev/shm
mount -t devpts -o mode=620,ptmxmode=666 devpts /root/dev/pts
for each in dev/shm run tmp; do mount -t tmpfs -o mode=1777 tmpfs "/root/$each"; done
ln -s /proc/self/fd /root/dev/fd
for each in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${each%:*}" "/root/dev/${each#*:}"; done
# As systemd mounts it.
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /root/sys/fs/cgroup

ifconfig lo up
hostname cgroup2
umount /proc
mount -t proc proc /root/proc
# Not chroot: in one, no user namespace can be made.
exec switch_root /root /bin/sh /mnt/checkout/test/cgroup2/guest.sh
