#!/bin/sh
# Takes a capture with a Raspberry Pi's camera whenever the cloud asks for one:
#
#   cloudtalker listen --config /etc/cloudtalker.conf --exec /usr/libexec/cloudtalker/on-command
#
# rpicam-vid can't split an MP4 while it records, so it runs once a segment. One `send` hands all of them over:
# a capture is one connection, and with a `send` each, every segment could become a capture of its own.
set -eu

config=${CLOUDTALKER_CONFIG:-/etc/cloudtalker.conf}
directory=${CAPTURE_DIR:-/var/lib/camera}
segments=${CAPTURE_SEGMENTS:-3}
milliseconds=${SEGMENT_MILLISECONDS:-4000}

[ "$1" = capture ] || exit 0

time=$(date +%s)
set --
while [ $# -lt "$segments" ]; do
    file=$directory/cap.$time.$#.mp4
    rpicam-vid --nopreview --timeout "$milliseconds" --codec libav --libav-format mp4 --output "$file" || { rm -f "$file"; break; }
    set -- "$@" "$file"
done
# A camera that fails on the way, or is somebody else's meanwhile: what was recorded goes all the same.
[ $# -gt 0 ] || exit 1
exec cloudtalker send --config "$config" "$@"
