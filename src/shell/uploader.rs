//! The upload worker: a thread of its own, for a blocking HTTP client. One request at a time.

use super::{
    clock::http_date,
    disk::facts,
    meter::Meter,
    progress::Pulse,
    ureq_tls::{self, Limits},
};
use crate::{
    engine::{
        Input, Pace,
        rates::Rate,
        spool::Kept,
        uploads::{Answer, Request},
    },
    wire::tus::{OFFSET_OCTET_STREAM, VERSION},
};
use async_channel::Sender;
use rustls::ClientConfig;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};
use ureq::{
    Agent, SendBody,
    http::{HeaderMap, Response},
    typestate::WithoutBody,
};

/// Every wait on the network has an end: a link that is slow is used, one that is dead is given up.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(30),
    read: Duration::from_secs(120),
    write: Duration::from_secs(60),
};
/// How often progress is told.
const PROGRESS: Duration = Duration::from_secs(1);
/// How often a worker that waits for another pace shows that it lives.
const WAIT: Duration = Duration::from_secs(10);
/// A server's word to people is no longer.
const MAX_TEXT: u64 = 300;

/// Requests for the upload worker, which answers each with [`Input::UploadAnswered`].
pub struct Uploader {
    jobs: mpsc::Sender<Job>,
    tls: Arc<ClientConfig>,
    agent: Agent,
    abandoned: Arc<AtomicBool>,
    pulse: Pulse,
    meter: Meter,
    thread: Thread,
}

struct Job {
    request: Request,
    agent: Agent,
    abandoned: Arc<AtomicBool>,
}

impl Uploader {
    /// Starts the worker. It ends with this handle, once the request it is at is done.
    pub fn start(
        state_dir: &Path,
        tls: Arc<ClientConfig>,
        inputs: Sender<Input>,
        pulse: Pulse,
    ) -> io::Result<Uploader> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let meter = Meter::default();
        let (dir, beating, counting) = (state_dir.to_owned(), pulse.clone(), meter.clone());
        let worker = thread::Builder::new().name("upload".into()).spawn(move || {
            let worker = Worker { dir: &dir, inputs: &inputs, pulse: &beating, meter: &counting };
            for job in waiting {
                beating.beat();
                let answer = worker.carry_out(&job);
                for input in [Input::Metered(counting.total()), Input::UploadAnswered(answer)] {
                    if inputs.send_blocking(input).is_err() {
                        return;
                    }
                }
                beating.rest();
            }
        })?;
        let agent = ureq_tls::agent(tls.clone(), LIMITS, pulse.clone(), meter.clone());
        let thread = worker.thread().clone();
        Ok(Uploader { jobs, tls, agent, abandoned: Arc::default(), pulse, meter, thread })
    }

    /// Hands a request over.
    pub fn request(&mut self, request: Request) {
        let job = Job { request, agent: self.agent.clone(), abandoned: self.abandoned.clone() };
        self.jobs.send(job).expect("the worker lives as long as its handle, or the process has panicked");
    }

    /// Another pace from now on, also for the request that is under way.
    pub fn set_pace(&mut self, pace: Pace) {
        self.meter.set_pace(pace);
        self.thread.unpark();
    }

    /// Ends the request that is under way, if there is one.
    pub fn abandon(&mut self) {
        self.abandoned.store(true, Ordering::Relaxed);
        self.abandoned = Arc::default();
        let next = self.new_agent();
        std::mem::replace(&mut self.agent, next).shutdown();
        self.thread.unpark();
    }

    /// From the next request on.
    pub fn reconfigure(&mut self, tls: Arc<ClientConfig>) {
        self.tls = tls;
        self.agent = self.new_agent();
    }

    fn new_agent(&self) -> Agent {
        ureq_tls::agent(self.tls.clone(), LIMITS, self.pulse.clone(), self.meter.clone())
    }
}

struct Worker<'a> {
    dir: &'a PathBuf,
    inputs: &'a Sender<Input>,
    pulse: &'a Pulse,
    meter: &'a Meter,
}

impl Worker<'_> {
    fn carry_out(&self, job: &Job) -> Answer {
        let answer = match &job.request {
            Request::Create { url, bytes, metadata } => {
                let request = tus(job.agent.post(url))
                    .header("Upload-Length", bytes.to_string())
                    .header("Upload-Metadata", metadata.to_string());
                answer_of(url, request.send_empty())
            }
            Request::Ask { url } => answer_of(url, tus_head(job.agent.head(url)).call()),
            Request::Send { url, file, offset, kept } => self.send(job, url, file, *offset, *kept),
        };
        if job.abandoned.load(Ordering::Relaxed) { Answer::Abandoned } else { answer }
    }

    fn send(&self, job: &Job, url: &str, file: &str, offset: u64, kept: Kept) -> Answer {
        let mut file = match File::open(self.dir.join(file)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Answer::FileMissing,
            Err(error) => return Answer::FileUnreadable(error.to_string()),
        };
        if !is_as_kept(&file, kept) {
            return Answer::FileChanged;
        }
        if let Err(error) = file.seek(SeekFrom::Start(offset)) {
            return Answer::FileUnreadable(error.to_string());
        }
        let length = kept.bytes - offset;
        let mut body = Body {
            file: &file,
            left: length,
            offset,
            began: Instant::now(),
            told: Instant::now(),
            job,
            worker: self,
        };
        let request = tus(job.agent.patch(url))
            .header("Upload-Offset", offset.to_string())
            .header("Content-Type", OFFSET_OCTET_STREAM)
            // A reader has no length of its own, and not every server takes chunks.
            .header("Content-Length", length.to_string());
        let answer = answer_of(url, request.send(SendBody::from_reader(&mut body)));
        let is_good = matches!(&answer, Answer::Status { status: 200..300, .. });
        if is_good || is_as_kept(&file, kept) { answer } else { Answer::FileChanged }
    }
}

/// The rest of a segment, as fast and as far as the engine lets it go.
struct Body<'a> {
    file: &'a File,
    left: u64,
    offset: u64,
    began: Instant,
    told: Instant,
    job: &'a Job,
    worker: &'a Worker<'a>,
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait_for_leave();
        if self.job.abandoned.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was given up"));
        }
        let rate = self.worker.meter.pace().rate.bytes();
        let room = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let room = match rate {
            // A tenth of a second's worth at a time, so that the pace is even, and its end or change prompt.
            Some(rate) => room.min(usize::try_from(rate / 10).unwrap_or(usize::MAX).max(1)),
            None => room,
        };
        let count = self.file.read(&mut buffer[..room])?;
        self.worker.pulse.beat();
        self.left -= count as u64;
        self.offset += count as u64;
        if let Some(rate) = rate {
            self.keep_pace(count as u64, rate);
        }
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            // For people's eyes, and to note an upload that lasts: where the executor is busy, the next one will do.
            let _ = self.worker.inputs.try_send(Input::UploadProgress(self.offset));
            let _ = self.worker.inputs.try_send(Input::Metered(self.worker.meter.total()));
        }
        Ok(count)
    }
}

impl Body<'_> {
    /// Waits for another pace where this one goes no further. The engine, which is told, either gives one or gives the
    /// upload up.
    fn wait_for_leave(&self) {
        let Worker { inputs, pulse, meter, .. } = self.worker;
        let waits = || {
            let is_stopped = meter.is_at_its_mark() || meter.pace().rate == Rate::Nothing;
            is_stopped && !self.job.abandoned.load(Ordering::Relaxed)
        };
        if waits() {
            // Where the agent has ended meanwhile, nobody gives another pace.
            let _ = inputs.send_blocking(Input::Metered(meter.total()));
        }
        while waits() && !inputs.is_closed() {
            pulse.beat();
            thread::park_timeout(WAIT);
        }
    }

    /// Waits as long as the bytes just read should take.
    fn keep_pace(&mut self, count: u64, rate: u64) {
        let span = Duration::from_secs_f64(count as f64 / rate.max(1) as f64);
        thread::sleep(span.saturating_sub(self.began.elapsed()));
        self.began = Instant::now();
    }
}

fn is_as_kept(file: &File, kept: Kept) -> bool {
    file.metadata().is_ok_and(|metadata| {
        let facts = facts(&metadata);
        (facts.bytes, facts.mtime_ns) == (kept.bytes, kept.mtime_ns)
    })
}

fn tus<Any>(request: ureq::RequestBuilder<Any>) -> ureq::RequestBuilder<Any> {
    request.header("Tus-Resumable", VERSION)
}

fn tus_head(request: ureq::RequestBuilder<WithoutBody>) -> ureq::RequestBuilder<WithoutBody> {
    // An offset from a cache would be a wrong one.
    tus(request).header("Cache-Control", "no-store")
}

fn answer_of(url: &str, result: Result<Response<ureq::Body>, ureq::Error>) -> Answer {
    let mut response = match result {
        Ok(response) => response,
        Err(error) => return Answer::Broken(ureq_tls::describe(&error)),
    };
    let mut text = Vec::new();
    // What came of it says more than how it ended.
    let _ = response.body_mut().as_reader().take(MAX_TEXT).read_to_end(&mut text);
    answer(url, response.status().as_u16(), response.headers(), &text)
}

/// What an answer from this URL says.
pub(crate) fn answer(url: &str, status: u16, headers: &HeaderMap, text: &[u8]) -> Answer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let (offset, retry_after) = (header("Upload-Offset"), header("Retry-After"));
    let (offset, retry_after) =
        (offset.and_then(|text| text.parse().ok()), retry_after.and_then(|text| text.parse().ok()));
    let location = header("Location").map(ToOwned::to_owned);
    // Only a server that TLS has verified is believed what time it is.
    let date = header("Date").filter(|_| url.starts_with("https://")).and_then(http_date);
    let text = String::from_utf8_lossy(text);
    let text = text.lines().next().unwrap_or_default().trim().to_owned();
    Answer::Status { status, offset, location, retry_after, date, text }
}
