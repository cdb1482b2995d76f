#!/usr/bin/env python3
"""A faulty link: two network namespaces, the board's and the cloud's, and all that goes between them.

Each namespace has one end of the link as a tun device; this process passes packets from one to the other and, on the
way, loses some by chance, holds them up and lets no more through than the rate allows, each way by itself. Once it has
passed so many bytes of the board's as it is told, it stalls for a while: whatever comes either way is dropped, and what
is on its way, too. SIGTERM ends it, with a line on what was lost.

It first prints the way into each namespace, for `nsenter --net=`. Nobody else holds the namespaces open, so they go
with this process and with the programs in them.
"""

import argparse
import ctypes
import fcntl
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from collections import deque

# <sched.h>, <linux/if_tun.h>
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
MTU = 1500
# As much as a modem holds before it drops what comes.
MAX_QUEUED = 64 * MTU


class Way:
    """From one end to the other. Packets keep their order."""

    def __init__(self, faults, source, sink):
        # Either way has its own chance, so that traffic on one does not change the other's.
        self.chance = random.Random(f"{faults.seed} {source}")
        self.faults, self.source, self.sink = faults, source, sink
        self.under_way = deque()
        self.free_at = 0.0
        self.taken, self.lost, self.stalled, self.passed_bytes = 0, 0, 0, 0

    def take(self, now, is_stalled):
        packet = os.read(self.source, MTU)
        self.taken += 1
        if is_stalled:
            self.stalled += 1
            return
        if self.chance.random() < self.faults.loss:
            self.lost += 1
            return
        begin = max(now, self.free_at)
        if (begin - now) * self.faults.rate > MAX_QUEUED * 8:
            return
        self.free_at = begin + len(packet) * 8 / self.faults.rate
        self.under_way.append((self.free_at + self.faults.delay, packet))

    def pass_on(self, now, is_stalled):
        while self.under_way and self.under_way[0][0] <= now:
            _, packet = self.under_way.popleft()
            if is_stalled:
                self.stalled += 1
            else:
                os.write(self.sink, packet)
                self.passed_bytes += len(packet)


class Stall:
    """Begins once, when the board's way has passed enough, and ends by the alarm clock."""

    def __init__(self, faults, ways):
        self.is_on, self.faults, self.ways = False, faults, ways
        signal.signal(signal.SIGALRM, self.end)

    def begin_if_due(self):
        if self.faults.stall_after is not None and self.ways[0].passed_bytes >= self.faults.stall_after:
            self.is_on, self.faults.stall_after = True, None
            signal.setitimer(signal.ITIMER_REAL, self.faults.stall)
            print("stalled", flush=True)

    def end(self, *_):
        self.is_on = False
        from_board, from_cloud = (way.stalled for way in self.ways)
        print(f"passes again, without {from_board} packets of the board's and {from_cloud} of the cloud's", flush=True)


def enter_new_namespace(name, address, peer):
    """The namespace, and the end of the link that this process has in its hands."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "expected to be root, and a kernel with network namespaces")
    namespace = os.open("/proc/self/ns/net", os.O_RDONLY)
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for command in (
        "link set lo up",
        f"addr add {address} peer {peer} dev {name}",
        f"link set {name} mtu {MTU} up",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    return f"/proc/{os.getpid()}/fd/{namespace}", tun


def end(ways):
    print(f"lost {sum(way.lost for way in ways)} of {sum(way.taken for way in ways)} packets")
    sys.exit()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--loss", type=float, default=0, help="of a packet: 0 to 1")
    parser.add_argument("--delay", type=float, default=0, help="each way, in seconds")
    parser.add_argument("--rate", type=float, default=1e9, help="each way, in bits a second")
    parser.add_argument("--stall", type=float, default=60, help="in seconds")
    parser.add_argument("--stall-after", type=int, help="bytes of the board's; never without")
    parser.add_argument("board", help="its address")
    parser.add_argument("cloud", help="its address")
    faults = parser.parse_args()

    board, board_end = enter_new_namespace("board", faults.board, faults.cloud)
    cloud, cloud_end = enter_new_namespace("cloud", faults.cloud, faults.board)
    ways = [Way(faults, board_end, cloud_end), Way(faults, cloud_end, board_end)]
    stall = Stall(faults, ways)
    signal.signal(signal.SIGTERM, lambda *_: end(ways))
    print(f"{board} {cloud} are ready", flush=True)
    while True:
        due = [way.under_way[0][0] for way in ways if way.under_way]
        patience = max(0, min(due) - time.monotonic()) if due else None
        readable, _, _ = select.select([board_end, cloud_end], [], [], patience)
        now = time.monotonic()
        for way in ways:
            if way.source in readable:
                way.take(now, stall.is_on)
            way.pass_on(now, stall.is_on)
            stall.begin_if_due()


main()
