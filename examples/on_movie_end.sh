#!/bin/sh
# Every movie that motion finishes becomes a capture. In motion.conf:
#
#   movie_codec mp4
#   on_movie_end /usr/local/bin/on_movie_end.sh %f
#
# motion does not wait for it, so it may wait for the agent: after a boot, the first movie may come first.
set -eu

config=${CLOUDTALKER_CONFIG:-/etc/cloudtalker.conf}

if ! said=$(cloudtalker send --config "$config" --name pir --wait 600 "$1" 2>&1); then
    logger -t cloudtalker -p user.warning -- "$said" || true
    printf '%s\n' "$said" >&2
    exit 1
fi
