//! What a start removes of what the process before it left: joins in progress, files that are half in the store, and
//! the bytes of uploads that a row calls unwanted.
//!
//! A whole file that the database doesn't know stays, and the log tells of it: the database may be a new one, or an older
//! one from a backup, and then it is somebody's video.

use crate::{blobs::Blobs, server::Server, store::StoreError};
use std::path::{Path, PathBuf};

impl Server {
    /// Removes what is of no more use. Nobody may use the data yet.
    pub async fn sweep(&self) -> Result<(), StoreError> {
        for file in files(&self.data.work()).await {
            remove(&file).await;
        }
        for upload in self.store.unwanted_uploads().await? {
            self.remove_bytes(&upload).await?;
        }
        let known = self.store.known_blobs().await?;
        for (kind, dir) in self.blobs.kinds() {
            let mut unknown = Vec::new();
            for file in files(&dir).await {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                if Blobs::is_unfinished(&name) {
                    remove(&file).await;
                } else if !known.contains(&format!("{kind}/{name}")) {
                    unknown.push(name.into_owned());
                }
            }
            if let Some(first) = unknown.iter().min() {
                log::warn!(
                    "{}: the database knows nothing of {} files here, such as {first}: they stay; if it was lost, or restored \
                     from an older backup, stop and restore the newest, else move them away",
                    dir.display(),
                    unknown.len()
                );
            }
        }
        Ok(())
    }
}

async fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let Ok(mut entries) = tokio::fs::read_dir(dir).await else { return files };
    while let Ok(Some(entry)) = entries.next_entry().await {
        files.push(entry.path());
    }
    files
}

/// What can't be removed takes room, no more.
async fn remove(file: &Path) {
    if let Err(error) = tokio::fs::remove_file(file).await {
        log::warn!("{} is of no more use and could not be removed: {error}", file.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        library::{
            CameraId, Identity, Segment,
            intake::{WholeSegment, segment_key},
        },
        server::DEFAULT_QUOTA,
        store::{NewSegment, NewUpload, OnConflict, Placed, unix_now},
    };
    use cloudtalker::wire::{Sha256, Trigger, segment_name::Container};
    use std::fs;

    /// A plain tus client's, or an original's.
    const IDENTITY: Identity = Identity { agent_id: None, trigger: Trigger::Pir, trigger_timestamp: 35 };

    struct Scene {
        server: Server,
        camera: CameraId,
        dir: tempfile::TempDir,
    }

    impl Scene {
        async fn open() -> Scene {
            let dir = tempfile::tempdir().unwrap();
            let server = Server::open(dir.path(), DEFAULT_QUOTA).await.unwrap();
            let camera = server.store.add_camera("porch", Sha256([1; 32]), 1).await.unwrap().unwrap();
            Scene { server, camera, dir }
        }

        /// An upload of segment 0; an original's, without metadata.
        async fn create(&self, id: &str) {
            let new = NewUpload {
                id,
                camera: self.camera,
                identity: IDENTITY,
                seg_no: 0,
                length: 5,
                sha256: None,
                metadata: "",
                expires_at: unix_now() + 60,
            };
            self.server.store.create_upload(&new, DEFAULT_QUOTA).await.unwrap();
        }

        /// As a process leaves it that is killed before the library knows of it.
        async fn put(&self, key: &str) {
            let file = self.dir.path().join("file");
            fs::write(&file, b"bytes").unwrap();
            self.server.blobs.put_file(key, &file, None).await.unwrap();
        }

        /// The segments' files that a start leaves.
        async fn swept(&self) -> Vec<String> {
            self.server.sweep().await.unwrap();
            let files = fs::read_dir(self.dir.path().join("blobs/segments")).unwrap();
            let mut names: Vec<String> =
                files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    #[tokio::test]
    async fn what_uploads_that_gave_way_had_put_goes_and_what_the_database_does_not_know_stays() {
        let scene = Scene::open().await;
        for id in ["gave-way", "second", "third"] {
            scene.create(id).await;
            scene.put(&segment_key(id)).await;
        }
        scene.put(&segment_key("alien")).await;
        scene.put("joined/9.mp4").await;
        assert_eq!(scene.swept().await, ["alien", "second", "third"]);
        assert!(scene.dir.path().join("blobs/joined/9.mp4").exists());
        assert!(scene.server.store.unwanted_uploads().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn what_a_session_that_was_killed_had_put_goes() {
        let scene = Scene::open().await;
        scene.server.store.begin_original(scene.camera, &IDENTITY, 1).await.unwrap();
        scene.create("cut-off").await;
        scene.put(&segment_key("cut-off")).await;
        scene.server.store.end_interrupted("killed").await.unwrap();
        assert!(scene.swept().await.is_empty());
    }

    #[tokio::test]
    async fn what_a_repeated_segments_upload_had_put_goes() {
        let scene = Scene::open().await;
        for id in ["first", "repeat"] {
            scene.create(id).await;
            scene.put(&segment_key(id)).await;
            let new = NewSegment {
                upload: id,
                camera: scene.camera,
                identity: IDENTITY,
                capture: None,
                on_conflict: OnConflict::Refuse,
                segment: Segment {
                    seg_no: 0,
                    bytes: 5,
                    sha256: Sha256([2; 32]),
                    container: Container::Mp4,
                    blob: segment_key(id),
                },
            };
            let (placed, _) = scene.server.store.place_segment(&new, 1).await.unwrap();
            assert_eq!(matches!(placed, Placed::Repeated(_)), id == "repeat");
        }
        assert_eq!(scene.swept().await, ["first"]);
    }

    #[tokio::test]
    async fn a_repeated_segment_leaves_nothing_behind() {
        let scene = Scene::open().await;
        for upload in ["first", "repeat"] {
            scene.create(upload).await;
            fs::write(scene.server.data.upload(upload), b"bytes").unwrap();
            let whole = WholeSegment {
                upload,
                camera: scene.camera,
                identity: IDENTITY,
                capture: None,
                on_conflict: OnConflict::Refuse,
                seg_no: 0,
                sha256: None,
            };
            scene.server.take_segment(&whole).await.unwrap();
        }
        assert!(scene.server.store.unwanted_uploads().await.unwrap().is_empty());
        assert_eq!(fs::read_dir(scene.server.data.uploads()).unwrap().count(), 0);
        assert_eq!(scene.swept().await, ["first"]);
    }

    #[tokio::test]
    async fn an_upload_that_is_dropped_takes_its_blob_along() {
        let scene = Scene::open().await;
        scene.create("dropped").await;
        scene.put(&segment_key("dropped")).await;
        scene.server.drop_upload("dropped").await.unwrap();
        assert!(scene.server.store.unwanted_uploads().await.unwrap().is_empty());
        assert!(scene.swept().await.is_empty());
    }
}
