#!/usr/bin/env python3
"""Stands for a watchdog's device: one end of a pseudo-terminal, which is a character device as well.

    watchdog.py [--busy]    prints the device's name, then a word for each byte that is written there

A busy one can be opened by nobody else (EBUSY), but for those who may administer the system.
"""

import fcntl
import os
import sys
import termios
import tty

WORDS = {0: "fed", ord("V"): "farewell"}

ours, device = os.openpty()
tty.setraw(device)
if "--busy" in sys.argv:
    fcntl.ioctl(device, termios.TIOCEXCL)
print(os.ttyname(device), flush=True)
while True:
    for byte in os.read(ours, 64):
        print(WORDS.get(byte, f"byte {byte}"), flush=True)
