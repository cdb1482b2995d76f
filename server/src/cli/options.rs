//! `serve`'s arguments, checked.

use super::arguments::Serve;
use crate::{
    net, pki,
    room::{hosted::Janus, janus::Client, words::Secret},
    serve::{Options, Web},
};
use std::{net::SocketAddr, path::Path, sync::Arc};

/// Everything that can be wrong with the arguments is found before anything is opened.
pub(super) fn options(arguments: Serve) -> Result<Options, String> {
    let address = |flag: &str, text: &str| {
        let parsed = text.parse::<SocketAddr>();
        parsed
            .map_err(|_| format!("--{flag}: expected ADDRESS:PORT, as in 127.0.0.1:8080, but came {text:?}"))
    };
    let camera_addr = address("camera-addr", &arguments.camera_addr)?;
    let web_addr = address("web-addr", &arguments.web_addr)?;
    for host in &arguments.host {
        let is_name =
            |host: &str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:".contains(&byte));
        if host.is_empty() || !is_name(host) {
            return Err(format!("--host: expected a name or an address without a port, but came {host:?}"));
        }
    }
    if arguments.camera.is_empty() != arguments.out.is_none() {
        return Err("--camera NAME and --out DIR belong together: the camera's files are made in DIR".into());
    }
    let ways = usize::from(arguments.web_cert.is_some() || arguments.web_key.is_some())
        + usize::from(arguments.web_self_signed)
        + usize::from(arguments.behind_proxy);
    if ways > 1 {
        return Err("--web-cert, --web-self-signed and --behind-proxy exclude each other".into());
    }
    let web = match (arguments.web_cert, arguments.web_key) {
        (Some(certificate), Some(key)) => Web::Certificate(certified(&certificate, &key)?),
        (Some(_), None) => return Err("--web-cert needs --web-key".into()),
        (None, Some(_)) => return Err("--web-key needs --web-cert".into()),
        (None, None) if arguments.web_self_signed => Web::SelfSigned,
        (None, None) if arguments.behind_proxy => Web::Proxy,
        (None, None) if web_addr.ip().is_loopback() => Web::Loopback,
        (None, None) => {
            return Err(format!(
                "--web-addr {web_addr} is beyond loopback, where plain HTTP would show passwords and videos to others: \
                 give --web-cert and --web-key, --web-self-signed, or --behind-proxy"
            ));
        }
    };
    let janus = match (arguments.janus_url, arguments.janus_admin_key) {
        (Some(url), key) => {
            let admin_key = key.map(|file| admin_key(&file)).transpose()?;
            Some(Janus { client: Client::new(*url), admin_key, web_socket: *arguments.janus_ws_url })
        }
        (None, Some(_)) => return Err("--janus-admin-key needs --janus-url".into()),
        (None, None) => None,
    };
    let Serve { data, host: hosts, camera_quota: quota, .. } = arguments;
    Ok(Options { data, camera_addr, web_addr, hosts, web, quota, janus })
}

/// More was taken by mistake, as another file.
const ADMIN_KEY_MAX: usize = 256;

/// A secret by a file, because arguments are for everybody on the machine to read: its one line, whatever Janus takes.
fn admin_key(file: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(file);
    let text =
        text.map_err(|error| format!("--janus-admin-key: {} can't be read: {error}", file.display()))?;
    let key = text.trim();
    if key.is_empty() || key.len() > ADMIN_KEY_MAX || key.contains(char::is_control) {
        let why = format!("expected a key of one line, of at most {ADMIN_KEY_MAX} bytes");
        return Err(format!("--janus-admin-key: {}: {why}", file.display()));
    }
    Ok(Secret::of(key))
}

/// What people's HTTPS needs, once its files are read and fit.
fn certified(certificate: &Path, key: &Path) -> Result<Arc<rustls::ServerConfig>, String> {
    let identity = pki::load(certificate, key).map_err(|error| error.to_string())?;
    let (certificate, key) = (certificate.display(), key.display());
    let tls = net::people_tls(identity);
    tls.map(Arc::new)
        .map_err(|error| format!("--web-cert {certificate} and --web-key {key} don't fit: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{super::arguments::folded, *};
    use argh::FromArgs;

    fn serve(arguments: &[&str]) -> Result<Options, String> {
        let arguments: Vec<String> = folded(arguments.iter().map(|&argument| argument.to_owned())).collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        options(Serve::from_args(&["serve"], &arguments).map_err(|exit| exit.output)?)
    }

    #[test]
    fn all_spellings_are_one() {
        for arguments in [
            ["--data", "a_b", "--camera-addr", "127.0.0.1:0"].as_slice(),
            &["--data=a_b", "--camera_addr=127.0.0.1:0"],
            &["--data=a_b", "--camera_addr", "127.0.0.1:0"],
        ] {
            let options = serve(arguments).unwrap();
            assert_eq!(options.data, Path::new("a_b"), "{arguments:?}");
            assert_eq!(options.camera_addr, "127.0.0.1:0".parse().unwrap());
            assert!(matches!(options.web, Web::Loopback));
        }
    }

    #[test]
    fn people_beyond_loopback_need_protection() {
        let refused = serve(&["--data", "d", "--web-addr", "0.0.0.0:8080"]).unwrap_err();
        assert!(refused.contains("beyond loopback"), "{refused}");
        let web = |way| serve(&["--data", "d", "--web-addr", "0.0.0.0:8080", way]).unwrap().web;
        assert!(matches!(web("--web-self-signed"), Web::SelfSigned));
        assert!(matches!(web("--behind-proxy"), Web::Proxy));
        assert!(serve(&["--data", "d", "--web-cert", "c"]).is_err());
        assert!(serve(&["--data", "d", "--web-self-signed", "--behind-proxy"]).is_err());
    }

    #[test]
    fn a_camera_to_add_needs_a_place_for_its_files() {
        assert!(serve(&["--data", "d", "--camera", "porch"]).unwrap_err().contains("--out DIR"));
        assert!(serve(&["--data", "d", "--out", "o"]).is_err());
        assert!(serve(&["--data", "d", "--camera", "porch", "--out", "o"]).is_ok());
    }

    #[test]
    fn quotas_have_units() {
        assert_eq!(serve(&["--data", "d", "--camera-quota=2M"]).unwrap().quota, 2 << 20);
        assert!(serve(&["--data", "d", "--camera-quota=2X"]).is_err());
        assert!(serve(&["--data", "d", "--camera-quota=99999999999T"]).is_err());
    }
}
