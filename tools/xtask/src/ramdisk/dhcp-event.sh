#!/bin/sh
# Called by udhcpc with its event as $1 and the lease in the environment.
case $1 in
deconfig) ip addr flush dev "$interface" && ip link set "$interface" up ;;
bound | renew)
    ip addr replace "$ip/${mask:-24}" dev "$interface"
    if [ -n "$router" ]; then ip route replace default via "${router%% *}"; fi
    ;;
esac
