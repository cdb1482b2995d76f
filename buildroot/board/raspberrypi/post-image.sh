#!/bin/sh
# Makes sdcard.img: boot partition, root and data partition. Buildroot calls it in its own directory.
set -eu

board=$(dirname "$0")
cd "$BINARIES_DIR"
files=$(printf '\\t\\t\\t"%s",\\n' *.dtb rpi-firmware/* Image)
cd "$OLDPWD"
sed "s|#BOOT_FILES#|$files|" "$board/genimage.cfg.in" >"$BINARIES_DIR/genimage.cfg"
exec support/scripts/genimage.sh -c "$BINARIES_DIR/genimage.cfg"
