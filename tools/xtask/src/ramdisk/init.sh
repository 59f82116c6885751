#!/bin/busybox sh
# The whole user space of the demonstration's Dom0: says that it is there and what it sees, does what words of the kernel's command line
# ask for, and leaves a shell.
#
#   dom0.modules=1               insert the network modules (in the order of /modules/order) and bring eth0 up
#   dom0.dhcp=1                  ask for an address
#   dom0.fetch=SERVER:FILE       fetch a file by TFTP and print its digest
#   dom0.fetch=http://...        the same by HTTP
#   dom0.show=FILE               print a file, such as a text of /proc/device-tree
#   dom0.end=poweroff|reboot     end instead of leaving a shell

/bin/busybox mkdir -p /proc /sys /dev /tmp /root
/bin/busybox --install -s /bin
export PATH=/bin HOME=/root TERM=vt100
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev 2>/dev/null

word() {
    for argument in $(cat /proc/cmdline); do
        case $argument in "$1"=*) echo "${argument#*=}" ;; esac
    done
}

fact() {
    if [ -r "$2" ]; then echo "$1: $(tr '\0' ' ' <"$2")"; fi
}

echo
echo "kernel: $(uname -srm)"
fact "hypervisor" /sys/hypervisor/type
if [ -r /sys/hypervisor/version/major ]; then
    echo "hypervisor version: $(cat /sys/hypervisor/version/major).$(cat /sys/hypervisor/version/minor)"
fi
fact "board" /proc/device-tree/model
fact "serial number" /proc/device-tree/serial-number
echo "processors: $(grep -c ^processor /proc/cpuinfo)"
echo "memory: $(awk '/^MemTotal/ { print $2 " KiB" }' /proc/meminfo)"
show=$(word dom0.show)
fact "$show" "$show"

if [ "$(word dom0.modules)" = 1 ]; then
    while read -r module; do
        insmod "/modules/$module" && echo "module: $module"
    done </modules/order
    ip link set eth0 up && echo "eth0: $(cat /sys/class/net/eth0/address)"
fi
if [ "$(word dom0.dhcp)" = 1 ]; then
    udhcpc -i eth0 -q -n -t 20 -T 1 -s /bin/dhcp-event && echo "lease: $(ip -4 -o address show dev eth0 | awk '{ print $4 }')"
fi
fetch=$(word dom0.fetch)
if [ -n "$fetch" ]; then
    file=${fetch#*:}
    case $fetch in
    http://*) wget -q -O /tmp/fetched "$fetch" ;;
    *) tftp -g -b 1468 -r "$file" -l /tmp/fetched "${fetch%%:*}" ;;
    esac && echo "fetched: $(sha256sum </tmp/fetched | cut -d' ' -f1) $file"
fi

echo "XENLIFT-DOM0-READY"
case $(word dom0.end) in
poweroff) poweroff -f ;;
reboot) reboot -f ;;
esac

# A shell that has the console as its controlling terminal, so that Ctrl-C works.
while true; do
    setsid cttyhack sh
done
