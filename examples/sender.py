#!/usr/bin/env python3
"""Hands video files to the agent, all of them as one capture.

    cloudtalker --input_port 9000 --capture_dir /var/lib/camera ...
    sender.py pir.1529842538.0.mp4 pir.1529842538.1.mp4 pir.1529842538.2.mp4

The connection is the capture: it ends when the connection closes. Nothing need stand between the objects, and a
name without a directory is taken from the agent's first --capture_dir.
"""

import argparse
import json
import socket
import sys

arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
arguments.add_argument("--host", default="127.0.0.1")
arguments.add_argument("--port", type=int, default=9000, help="the agent's --input_port")
arguments.add_argument("--ack", action="store_true", help="wait until each file is safe with the agent")
arguments.add_argument("files", nargs="+", metavar="FILE", help="<pir|cap>.<utc seconds>.<number>.<mp4|ts>")
options = arguments.parse_args()

refused = False
with socket.create_connection((options.host, options.port)) as agent:
    answers = agent.makefile()
    for file in options.files:
        message = {"segment": file}
        if options.ack:
            message["ack"] = True
        agent.sendall(json.dumps(message).encode())
        # Who did not ask gets no answer, and may close at once.
        if options.ack:
            answer = json.loads(answers.readline() or '{"ok": false, "error": "the agent hung up"}')
            if not answer["ok"]:
                print(f"{file}: {answer['error']}", file=sys.stderr)
                refused = True
sys.exit(1 if refused else 0)
