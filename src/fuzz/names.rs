//! Names of files, identities, and the small texts beside them.

use crate::{
    engine::spool::CaptureName,
    wire::{
        Id, Sha256,
        input::Naming,
        segment_name::{Container, SegmentName},
        tus::Metadata,
    },
};
use std::{fmt, str::FromStr};

/// A name that is taken is the one that it is written as, and is a capture's in the spool, too.
pub fn segment_names(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    comes_back::<Id>(text);
    comes_back::<Sha256>(text);
    if let Some(capture) = comes_back::<CaptureName>(text) {
        assert!(!text.contains('/') && !text.starts_with('.'), "{text:?} leads out of the spool");
        assert_eq!(capture.dir(), format!("spool/{text}"));
    }
    match SegmentName::of_path(text) {
        Ok(name) => {
            let written = name.to_string();
            assert_eq!(written.parse(), Ok(name), "{text:?}");
            assert_eq!(SegmentName::of_path(&format!("/a/{written}")), Ok(name), "{text:?}");
            assert_eq!(Container::of_path(text), Some(name.container), "{text:?}");
            assert!(Naming::of_name(name).timestamp != Some(0), "{text:?} has no time");
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    if let Ok(metadata) = text.parse::<Metadata>() {
        assert_eq!(metadata.to_string().parse(), Ok(metadata), "{text:?}");
    }
}

/// Reads a text that has only one form.
fn comes_back<T: FromStr + fmt::Display>(text: &str) -> Option<T> {
    let read: T = text.parse().ok()?;
    assert_eq!(read.to_string(), text);
    Some(read)
}
