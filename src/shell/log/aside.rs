//! Standard error that is a file. What lies beneath it, as a worn card, may take its time for a line: a thread of its own
//! waits for that, and nobody else.

use super::{Message, missed::Missed};
use log::Level;
use std::{
    convert::Infallible,
    io::{self, Write},
    sync::mpsc::{self, Receiver, SyncSender},
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Lines that wait for the file. More are lost, and counted.
const WAITING: usize = 64;

/// The way to that thread. Writing never waits.
#[derive(Debug)]
pub struct Aside {
    lines: SyncSender<String>,
    /// Ends with the thread.
    running: Receiver<Infallible>,
    missed: Missed,
}

impl Aside {
    /// An error where the system has no thread to give.
    pub fn start(mut out: impl Write + Send + 'static) -> io::Result<Aside> {
        let (lines, waiting) = mpsc::sync_channel::<String>(WAITING);
        let (runs, running) = mpsc::channel();
        thread::Builder::new().name("log".into()).spawn(move || {
            for line in waiting {
                let _ = out.write_all(line.as_bytes());
            }
            drop(runs);
        })?;
        Ok(Aside { lines, running, missed: Missed::default() })
    }

    pub fn write(&mut self, now: SystemTime, message: &Message) {
        let moment = Instant::now();
        if let Some(text) = self.missed.words(moment, "the disk of standard error's file is too slow") {
            let word = Message { level: Level::Warn, target: module_path!().to_owned(), text };
            if self.lines.try_send(word.line(now)).is_ok() {
                self.missed.told(moment);
            }
        }
        if self.lines.try_send(message.line(now)).is_err() {
            self.missed.count();
        }
    }

    /// Waits until all is written, but no longer than this.
    pub fn finish(self, patience: Duration) {
        drop(self.lines);
        let _ = self.running.recv_timeout(patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// A file that takes a line for each word that it is let.
    struct Slow {
        lets: Receiver<()>,
        text: Arc<Mutex<String>>,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.lets.recv();
            self.text.lock().unwrap().push_str(str::from_utf8(bytes).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn message(text: &str) -> Message {
        Message { level: Level::Info, target: "cloudtalker".into(), text: text.into() }
    }

    #[test]
    fn a_slow_file_holds_nobody_up_and_what_it_missed_is_told() {
        let ((let_go, lets), text) = (mpsc::channel(), Arc::new(Mutex::new(String::new())));
        let mut aside = Aside::start(Slow { lets, text: text.clone() }).unwrap();
        let now = SystemTime::now();
        for number in 0..3 * WAITING {
            aside.write(now, &message(&format!("line {number}")));
        }
        // From here on it takes whatever comes.
        drop(let_go);
        while !text.lock().unwrap().contains("line 63") {
            thread::yield_now();
        }
        aside.write(now, &message("the last"));
        aside.finish(Duration::from_secs(60));
        let text = text.lock().unwrap();
        let [.., word, last] = &text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert!(
            word.contains("WARN") && word.contains("of the messages before this one were not taken"),
            "{word}"
        );
        assert!(last.ends_with("the last"), "{last}");
        assert!(text.lines().count() < 2 * WAITING, "the rest is lost: {text}");
    }
}
