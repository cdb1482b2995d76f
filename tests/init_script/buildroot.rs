//! What Buildroot's package installs for each init system: GNU make runs the rules of our cloudtalker.mk.

use super::harness::{TempDir, file_names};
use std::{fs, path::Path, process::Command};

/// As Buildroot's rules install a package. `@D` is the source's directory, that of the target.
const RULES: &str = "
INSTALL = install
BR2_PACKAGE_CLOUDTALKER_RPICAM = y
define sep


endef
include $(CLOUDTALKER_PKGDIR)/cloudtalker.mk
%/.installed:
	$(CLOUDTALKER_INSTALL_INIT_$(INIT))
	$(foreach hook,$(CLOUDTALKER_POST_INSTALL_TARGET_HOOKS),$(call $(hook))$(sep))
";

/// What the package has for this init system, beside a camera's scripts.
fn target_with(init: &str) -> TempDir {
    let target = TempDir::new();
    let project = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::write(target.at("rules.mk"), RULES).unwrap();
    let mut make = Command::new("make");
    make.arg("--silent").arg("--file").arg(target.at("rules.mk")).arg(project.join(".installed"));
    make.arg(format!("INIT={init}")).arg(format!("TARGET_DIR={}", target.path().display()));
    make.arg(format!("CLOUDTALKER_PKGDIR={}", project.join("buildroot/package/cloudtalker").display()));
    assert!(make.status().unwrap().success(), "{init}");
    target
}

#[test]
fn an_init_script_has_its_defaults_file() {
    let target = target_with("SYSV");
    assert_eq!(file_names(&target.at("etc/init.d")), ["S92cloudtalker", "S93cloudtalker-listen"]);
    assert_eq!(file_names(&target.at("etc/default")), ["cloudtalker", "cloudtalker-listen"]);
}

#[test]
fn openrc_has_a_script_of_its_own_for_the_agent_which_starts_with_the_board() {
    let target = target_with("OPENRC");
    assert_eq!(file_names(&target.at("etc/init.d")), ["S93cloudtalker-listen", "cloudtalker"]);
    assert_eq!(file_names(&target.at("etc/conf.d")), ["cloudtalker"]);
    let started = fs::read_link(target.at("etc/runlevels/default/cloudtalker")).unwrap();
    assert_eq!(started, Path::new("/etc/init.d/cloudtalker"));
    let script = fs::read_to_string(target.at("etc/init.d/cloudtalker")).unwrap();
    assert!(script.starts_with("#!/sbin/openrc-run\n"), "{script}");
}

#[test]
fn systemd_has_no_file_that_nothing_reads() {
    let target = target_with("SYSTEMD");
    let units =
        ["cloudtalker-listen.service", "cloudtalker.service", "cloudtalker.service.d", "cloudtalker.socket"];
    assert_eq!(file_names(&target.at("usr/lib/systemd/system")), units);
    assert_eq!(file_names(&target.at("etc/default")), ["cloudtalker-listen"], "which the unit reads, too");
}
