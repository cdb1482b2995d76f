//! A camera's identity as files: its certificate, its key and the CA's certificate.

use crate::{
    control::{self, Answer, Request},
    pki,
    server::first_missing,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where they lie, or shall lie.
pub(super) struct Files {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) ca: PathBuf,
}

impl Files {
    /// Of a camera of this name, in this directory.
    pub(super) fn of(name: &str, dir: &Path) -> Files {
        Files {
            certificate: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}-key.pem")),
            ca: dir.join("ca.pem"),
        }
    }

    /// Whether all of them are there.
    pub(super) fn are_there(&self) -> bool {
        [&self.certificate, &self.key, &self.ca].iter().all(|path| path.exists())
    }

    /// Adds the camera and writes them. Gives HOST:PORT to which it connects.
    pub(super) async fn make(&self, name: &str, data: &Path) -> Result<String, String> {
        let dir = self.ca.parent().expect("they lie in a directory");
        fs::create_dir_all(dir).map_err(|error| {
            let missing = first_missing(dir).display();
            format!("the directory {missing} can't be made: {error}; see that this user may make it, or mend --out")
        })?;
        let request = Request::AddCamera { name: name.to_owned() };
        let (certificate, key, ca, endpoint) = match control::ask(data, &request).await {
            Ok((Answer::Added { certificate, key, ca, endpoint }, _)) => (certificate, key, ca, endpoint),
            Ok((answer, _)) => return Err(super::refusal(answer)),
            Err(error) => return Err(error.to_string()),
        };
        let files = [(&self.certificate, certificate, 0o644), (&self.key, key, 0o600), (&self.ca, ca, 0o644)];
        for (path, content, mode) in files {
            pki::write(path, content.as_bytes(), mode).map_err(|error| {
                let remove = format!("camera remove {name} --data {}", data.display());
                format!("{error}; its key is lost: `{remove}`, then add it again")
            })?;
        }
        Ok(endpoint)
    }
}
