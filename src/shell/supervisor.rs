//! Whoever started the agent, where it wants to be told how that is doing: whether it is ready, what it does, and, where
//! there is a watchdog, that it gets on. Where nobody asks there is no socket, no timer and no text.

use super::{notify::Notify, progress::Worker, rhythm::Rhythm};
use rustix::time::{ClockId, clock_gettime};
use std::{
    env, process,
    time::{Duration, Instant},
};

/// How often the text is told at most: each wakes the supervisor.
const STATUS_EVERY: Duration = Duration::from_secs(5);
/// Before a supervisor that was busy is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Whoever started the agent.
#[derive(Debug)]
pub struct Supervisor(Option<Asking>);

/// One that wants to be told.
#[derive(Debug)]
struct Asking {
    notify: Notify,
    schedule: Schedule,
}

/// What is due to be told when.
#[derive(Debug)]
struct Schedule {
    /// When it is to be said that the agent gets on.
    alive: Option<Rhythm>,
    status: String,
    status_at: Instant,
}

impl Supervisor {
    /// The one that the environment names.
    pub fn from_environment() -> Supervisor {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Supervisor(None) };
        let variable = |name| env::var(name).ok();
        let (limit, id) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
        let alive_every = watchdog(limit.as_deref(), id.as_deref(), process::id());
        match Notify::to(&name) {
            Ok(notify) => {
                let schedule = Schedule::new(Instant::now(), alive_every);
                Supervisor(Some(Asking { notify, schedule }))
            }
            Err(error) => {
                log::warn!("NOTIFY_SOCKET is {name:?}, where nobody can be told anything: {error}");
                Supervisor(None)
            }
        }
    }

    /// The agent has started, or has read everything again.
    pub fn tell_ready(&mut self) {
        self.tell(|| "READY=1".to_owned());
    }

    /// It reads everything again. What is ready after this moment is ready because of it.
    pub fn tell_reloading(&mut self) {
        self.tell(|| {
            let now = Duration::try_from(clock_gettime(ClockId::Monotonic)).unwrap_or_default();
            format!("RELOADING=1\nMONOTONIC_USEC={}", now.as_micros())
        });
    }

    /// It was told to end.
    pub fn tell_stopping(&mut self) {
        self.tell(|| "STOPPING=1".to_owned());
    }

    /// Tells what is due, in each turn of the loop; when it is to be called again although nothing has happened.
    pub fn attend(
        &mut self,
        now: Instant,
        stuck: Option<Worker>,
        status: impl FnOnce() -> String,
    ) -> Option<Instant> {
        let Asking { notify, schedule } = self.0.as_mut()?;
        let (lines, next) = schedule.take(now, stuck, status);
        if !lines.is_empty() && !notify.tell_news(lines.join("\n")) {
            schedule.status.clear();
        }
        let retry = notify.send_on().then_some(now + RETRY);
        next.into_iter().chain(retry).min()
    }

    fn tell(&mut self, lines: impl FnOnce() -> String) {
        if let Some(asking) = &mut self.0 {
            asking.notify.tell_change(lines());
        }
    }
}

impl Schedule {
    fn new(now: Instant, alive_every: Option<Duration>) -> Schedule {
        let alive = alive_every.map(|every| Rhythm::new(now, every));
        Schedule { alive, status: String::new(), status_at: now }
    }

    /// What is due now, and when there will be more. A watchdog hears nothing while a worker is stuck.
    fn take(
        &mut self,
        now: Instant,
        stuck: Option<Worker>,
        status: impl FnOnce() -> String,
    ) -> (Vec<String>, Option<Instant>) {
        let mut lines = Vec::new();
        if self.alive.as_mut().is_some_and(|alive| alive.comes(now)) && stuck.is_none() {
            lines.push("WATCHDOG=1".to_owned());
        }
        let mut next = self.alive.map(|alive| alive.at());
        if now < self.status_at {
            // Something has happened meanwhile, which may have changed it.
            next = Some(next.map_or(self.status_at, |next| next.min(self.status_at)));
        } else {
            self.status_at = now + STATUS_EVERY;
            let status = stuck.map_or_else(status, |worker| worker.to_string());
            if status != self.status {
                lines.push(format!("STATUS={status}"));
                self.status = status;
            }
        }
        (lines, next)
    }
}

/// How often a watchdog wants to hear of this process: twice within its limit (sd_watchdog_enabled(3)).
fn watchdog(limit: Option<&str>, id: Option<&str>, own: u32) -> Option<Duration> {
    let is_ours = id.is_none_or(|id| id.parse::<u32>() == Ok(own));
    let limit = limit?.parse::<u64>().ok().filter(|limit| *limit > 0 && is_ours)?;
    Some(Duration::from_micros(limit) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_watchdog_hears_of_the_agent_twice_within_its_limit() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began, watchdog(Some("120000000"), None, 1));
        let mut told = Vec::new();
        let mut next = Some(began);
        while let Some(now) = next.filter(|now| *now <= began + 5 * MINUTE) {
            let (lines, then) = schedule.take(now, None, || "up".to_owned());
            told.extend(lines.into_iter().map(|line| (now - began, line)));
            assert!(then > Some(now));
            next = then;
        }
        let alive: Vec<Duration> =
            told.iter().filter(|(_, line)| line == "WATCHDOG=1").map(|(at, _)| *at).collect();
        assert_eq!(alive, [0, 1, 2, 3, 4, 5].map(|minute| minute * MINUTE));
        assert_eq!(told.iter().filter(|(_, line)| line == "STATUS=up").count(), 1);
    }

    #[test]
    fn a_watchdog_hears_nothing_while_a_worker_is_stuck() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began, Some(MINUTE));
        let mut told = |minute: u32, stuck| schedule.take(began + minute * MINUTE, stuck, || "up".into()).0;
        assert_eq!(told(0, None), ["WATCHDOG=1", "STATUS=up"]);
        assert_eq!(told(1, Some(Worker::Disk)), [format!("STATUS={}", Worker::Disk)]);
        assert_eq!(told(2, Some(Worker::Disk)), [""; 0]);
        assert_eq!(told(3, None), ["WATCHDOG=1", "STATUS=up"]);
    }

    #[test]
    fn a_watchdog_of_another_process_hears_nothing() {
        assert_eq!(watchdog(Some("2000000"), Some("7"), 7), Some(Duration::from_secs(1)));
        for (limit, id) in [
            (None, None),
            (Some("0"), None),
            (Some(""), None),
            (Some("soon"), None),
            (Some("2000000"), Some("8")),
            (Some("2000000"), Some("")),
        ] {
            assert_eq!(watchdog(limit, id, 7), None, "{limit:?} {id:?}");
        }
    }

    #[test]
    fn a_status_is_told_when_it_changes_and_not_too_often() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began, None);
        let at = |millis: u64| began + Duration::from_millis(millis);
        assert_eq!(schedule.take(at(0), None, || "1".into()), (vec!["STATUS=1".into()], None));
        assert_eq!(schedule.take(at(100), None, || "2".into()), (vec![], Some(at(5_000))));
        assert_eq!(schedule.take(at(200), None, || "3".into()), (vec![], Some(at(5_000))));
        assert_eq!(
            schedule.take(at(5_000), None, || "3".into()),
            (vec!["STATUS=3".into()], None),
            "then it rests"
        );
        assert_eq!(schedule.take(at(60_000), None, || "3".into()), (vec![], None));
        assert_eq!(schedule.take(at(70_000), None, || "4".into()), (vec!["STATUS=4".into()], None));
    }

    #[test]
    fn nobody_who_does_not_ask_is_told_anything() {
        let mut nobody = Supervisor(None);
        nobody.tell_ready();
        nobody.tell_reloading();
        assert_eq!(nobody.attend(Instant::now(), None, || unreachable!("nobody reads it")), None);
    }
}
