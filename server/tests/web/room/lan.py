#!/usr/bin/env python3
"""Runs a command in a network of its own: COMMAND and its arguments, with a loopback and one interface besides.

Janus offers browsers every address but the loopback's, so a network that is to hold both needs an interface with an
address. It is a tun device, which every kernel has that runs containers; this process holds its other end, where
nothing ever comes out, because what goes to an own address stays in the machine. All ports of the network are free, and
it is gone with the command.
"""

import ctypes
import fcntl
import os
import struct
import subprocess
import sys

# <sched.h>, <linux/if_tun.h>
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Of the addresses for documentation: nobody's.
ADDRESS = "192.0.2.1/24"


def main():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "expected to be root, and a kernel with network namespaces")
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"lan", IFF_TUN | IFF_NO_PI))
    for command in ("link set lo up", f"addr add {ADDRESS} dev lan", "link set lan up"):
        subprocess.run(["ip", *command.split()], check=True)
    sys.exit(subprocess.call(sys.argv[1:]))


main()
