#!/usr/bin/env python3
"""Receives the commands that the cloud gives the camera, and prints them.

    listener.py --cam_addr 127.0.0.1:9001              cloudtalker --cam_addr 127.0.0.1:9001 ...
    listener.py --cam_sock /run/camera.sock            cloudtalker --cam_sock /run/camera.sock ...

"arm" and "disarm" say how things should be, and may come more than once; "capture" asks for one fresh capture.
"""

import argparse
import json
import os
import select
import signal
import socket

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
place = arguments.add_mutually_exclusive_group(required=True)
place.add_argument("--cam_sock", metavar="PATH", help="unix datagram socket to receive at")
place.add_argument("--cam_addr", metavar="HOST:PORT", help="address to receive at by UDP")
options = arguments.parse_args()

if options.cam_sock:
    if os.path.exists(options.cam_sock):
        os.unlink(options.cam_sock)  # left by a listener that was killed
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(options.cam_sock)
else:
    host, port = options.cam_addr.rsplit(":", 1)
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind((host, int(port)))

# By way of a socket: a signal that comes just before recv() would not end it.
stopped, stop = socket.socketpair()
stop.setblocking(False)
signal.set_wakeup_fd(stop.fileno())
for each in (signal.SIGTERM, signal.SIGINT):
    signal.signal(each, lambda *_: None)
try:
    print("listening", flush=True)
    while stopped not in select.select([listener, stopped], [], [])[0]:
        command = json.loads(listener.recv(4096))["command"]
        print(command, flush=True)  # here a camera program would do it
finally:
    if options.cam_sock:
        os.unlink(options.cam_sock)
