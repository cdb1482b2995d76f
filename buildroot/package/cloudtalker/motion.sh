#!/bin/sh
# Tells motion what the cloud wants, as `cloudtalker listen --exec` calls it: it detects while the camera is armed, and
# records an event for `capture`. In motion.conf:
#
#   webcontrol_port 8080
#   webcontrol_parms 1
#   pause on
set -eu

motion=${MOTION_URL:-http://127.0.0.1:8080/0}
seconds=${CAPTURE_SECONDS:-12}

tell() { wget -q -O /dev/null "$motion/$1"; }

case $1 in
	arm) tell detection/start ;;
	disarm) tell detection/pause ;;
	capture)
		tell action/eventstart
		sleep "$seconds"
		tell action/eventend
		;;
	*)
		echo "expected arm, disarm or capture, got '$1'" >&2
		exit 64
		;;
esac
