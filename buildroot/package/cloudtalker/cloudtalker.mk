################################################################################
#
# cloudtalker
#
################################################################################

CLOUDTALKER_VERSION = 0.1.0
# A release's tarball, or what `make source` makes of this checkout. It has its crates already.
CLOUDTALKER_SOURCE = cloudtalker-$(CLOUDTALKER_VERSION)-vendored.tar.gz
CLOUDTALKER_SITE = file://$(abspath $(BR2_EXTERNAL_CLOUDTALKER_PATH)/../dist)
CLOUDTALKER_LICENSE = MIT or Apache-2.0
CLOUDTALKER_LICENSE_FILES = LICENSE-MIT LICENSE-APACHE

# Stripping is for BR2_STRIP_strip to decide.
CLOUDTALKER_CARGO_ENV = CARGO_PROFILE_RELEASE_STRIP=false

# A checkout (CLOUDTALKER_OVERRIDE_SRCDIR) is not vendored on its way here: `make vendor` has done that there.
CLOUDTALKER_OVERRIDE_SRCDIR_RSYNC_EXCLUSIONS = \
	--exclude /dist/cloudtalker-* --exclude /target --exclude /server/target \
	--exclude /fuzz/target --exclude /tests/faultfs/target \
	--exclude /tests/node_modules

define CLOUDTALKER_USE_VENDORED_CRATES
	test -e $(@D)/vendor/config.toml || \
		{ echo "cloudtalker: expected vendored crates in $(CLOUDTALKER_OVERRIDE_SRCDIR)/vendor; run 'make vendor' there" >&2; exit 1; }
	$(INSTALL) -D -m 0644 $(@D)/vendor/config.toml $(@D)/.cargo/config.toml
endef
CLOUDTALKER_POST_RSYNC_HOOKS += CLOUDTALKER_USE_VENDORED_CRATES

ifeq ($(BR2_PACKAGE_CLOUDTALKER_RPICAM),y)
CLOUDTALKER_ON_COMMAND = rpicam-vid.sh
define CLOUDTALKER_INSTALL_CAMERA_SCRIPTS
	$(INSTALL) -D -m 0755 $(@D)/examples/rpicam-vid.sh \
		$(TARGET_DIR)/usr/libexec/cloudtalker/rpicam-vid.sh
endef
else ifeq ($(BR2_PACKAGE_CLOUDTALKER_MOTION),y)
CLOUDTALKER_ON_COMMAND = motion.sh
define CLOUDTALKER_INSTALL_CAMERA_SCRIPTS
	$(INSTALL) -D -m 0755 $(CLOUDTALKER_PKGDIR)/motion.sh \
		$(TARGET_DIR)/usr/libexec/cloudtalker/motion.sh
	$(INSTALL) -D -m 0755 $(@D)/examples/on_movie_end.sh \
		$(TARGET_DIR)/usr/libexec/cloudtalker/on_movie_end.sh
endef
endif

ifneq ($(CLOUDTALKER_ON_COMMAND),)
define CLOUDTALKER_INSTALL_CAMERA
	$(CLOUDTALKER_INSTALL_CAMERA_SCRIPTS)
	ln -sf $(CLOUDTALKER_ON_COMMAND) \
		$(TARGET_DIR)/usr/libexec/cloudtalker/on-command
	$(INSTALL) -D -m 0644 $(CLOUDTALKER_PKGDIR)/cloudtalker-listen.default \
		$(TARGET_DIR)/etc/default/cloudtalker-listen
endef
CLOUDTALKER_POST_INSTALL_TARGET_HOOKS += CLOUDTALKER_INSTALL_CAMERA

define CLOUDTALKER_INSTALL_INIT_SYSV_CAMERA
	$(INSTALL) -D -m 0755 $(CLOUDTALKER_PKGDIR)/S93cloudtalker-listen \
		$(TARGET_DIR)/etc/init.d/S93cloudtalker-listen
endef

define CLOUDTALKER_INSTALL_INIT_SYSTEMD_CAMERA
	$(INSTALL) -D -m 0644 $(@D)/dist/systemd/cloudtalker-listen.service \
		$(TARGET_DIR)/usr/lib/systemd/system/cloudtalker-listen.service
endef
endif

define CLOUDTALKER_INSTALL_INIT_SYSV
	$(INSTALL) -D -m 0755 $(CLOUDTALKER_PKGDIR)/S92cloudtalker \
		$(TARGET_DIR)/etc/init.d/S92cloudtalker
	$(INSTALL) -D -m 0644 $(CLOUDTALKER_PKGDIR)/cloudtalker.default \
		$(TARGET_DIR)/etc/default/cloudtalker
	$(CLOUDTALKER_INSTALL_INIT_SYSV_CAMERA)
endef

# The listener has no script for OpenRC: Buildroot's service `sysv-rcs` runs the one that it has.
define CLOUDTALKER_INSTALL_INIT_OPENRC
	$(INSTALL) -D -m 0755 $(@D)/dist/openrc/cloudtalker \
		$(TARGET_DIR)/etc/init.d/cloudtalker
	$(INSTALL) -D -m 0644 $(@D)/dist/openrc/cloudtalker.confd \
		$(TARGET_DIR)/etc/conf.d/cloudtalker
	$(INSTALL) -d -m 0755 $(TARGET_DIR)/etc/runlevels/default
	ln -sf /etc/init.d/cloudtalker \
		$(TARGET_DIR)/etc/runlevels/default/cloudtalker
	$(CLOUDTALKER_INSTALL_INIT_SYSV_CAMERA)
endef

define CLOUDTALKER_INSTALL_INIT_SYSTEMD
	$(INSTALL) -D -m 0644 $(@D)/dist/systemd/cloudtalker.service \
		$(TARGET_DIR)/usr/lib/systemd/system/cloudtalker.service
	$(INSTALL) -D -m 0644 $(@D)/dist/systemd/cloudtalker.socket \
		$(TARGET_DIR)/usr/lib/systemd/system/cloudtalker.socket
	$(INSTALL) -D -m 0644 $(@D)/dist/systemd/cloudtalker.service.d/notify-reload.conf \
		$(TARGET_DIR)/usr/lib/systemd/system/cloudtalker.service.d/notify-reload.conf
	$(INSTALL) -D -m 0644 $(@D)/dist/systemd/cloudtalker.tmpfiles \
		$(TARGET_DIR)/usr/lib/tmpfiles.d/cloudtalker.conf
	$(CLOUDTALKER_INSTALL_INIT_SYSTEMD_CAMERA)
endef

# In the group `video` for the camera, and so that the spool may link the recordings of others in it.
define CLOUDTALKER_USERS
	cloudtalker -1 cloudtalker -1 * /var/lib/cloudtalker - video cloudtalker agent
endef

# The camera's key and its captures are nobody else's business.
define CLOUDTALKER_PERMISSIONS
	/etc/cloudtalker d 750 root cloudtalker - - - - -
	/etc/cloudtalker.conf F 640 root cloudtalker - - - - -
	/var/lib/cloudtalker d 750 cloudtalker cloudtalker - - - - -
endef

$(eval $(cargo-package))
