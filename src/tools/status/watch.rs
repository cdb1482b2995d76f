//! `cloudtalker status --watch`: one connection, asked once a second. An agent that goes away is waited for.

use super::{
    answer::{Status, answer, parse},
    frame::{Away, View, frame},
    line::Told,
    now,
    rate::Rate,
    screen::Screen,
};
use crate::tools::{Address, Audience, Connection, ToolError, is_nobody, is_unread, print};
use async_signal::{Signal, Signals};
use serde_json::json;
use smol::stream::StreamExt;
use std::{
    process, thread,
    time::{Duration, Instant},
};

const EVERY: Duration = Duration::from_secs(1);

/// Looks until it is asked to stop, or nobody reads what it prints.
pub fn run(address: Address, json: bool) -> Result<(), ToolError> {
    let mut watch =
        Watch { address, connection: None, status: None, gone: None, away: None, rate: Rate::default() };
    let began = Instant::now();
    let mut next = began;
    let mut output: Option<Output> = None;
    loop {
        let answer = watch.look(began.elapsed())?;
        // What is wrong from the first is told as any other error.
        let output = output.get_or_insert_with(|| Output::open(json));
        if output.show(began.elapsed(), &watch, answer)? == Audience::Gone {
            return Ok(());
        }
        next = (next + EVERY).max(Instant::now());
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}

/// What is seen of an agent.
struct Watch {
    address: Address,
    connection: Option<Connection>,
    status: Option<Status>,
    /// When it was first missed: since this began, and by the clock, in seconds since 1970.
    gone: Option<(Duration, u64)>,
    away: Option<Away>,
    rate: Rate,
}

impl Watch {
    /// Asks once: the answer, or why there is none for now.
    fn look(&mut self, at: Duration) -> Result<Result<String, String>, ToolError> {
        match self.ask() {
            Ok((answer, status)) => {
                self.rate.take(at, status.sent);
                self.status = Some(status);
                (self.gone, self.away) = (None, None);
                Ok(Ok(answer))
            }
            Err(error) if !self.may_mend(&error) => Err(error),
            Err(error) => {
                let why = error.to_string();
                self.connection = None;
                self.rate.forget();
                let (began, since) = *self.gone.get_or_insert_with(|| (at, now()));
                let seconds = (at - began).as_secs();
                self.away = Some(Away { since, seconds, why: why.clone() });
                Ok(Err(why))
            }
        }
    }

    fn ask(&mut self) -> Result<(String, Status), ToolError> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.address.connect()?),
        };
        let answer = answer(connection)?;
        let status = parse(&answer)?;
        Ok((answer, status))
    }

    /// Whether waiting may help. Where the agent has answered before, it may be that anything is there for a moment.
    fn may_mend(&self, error: &ToolError) -> bool {
        match error {
            ToolError::Absent(_, error) => self.status.is_some() || is_nobody(error),
            ToolError::Silent(..) | ToolError::Lost(..) => true,
            ToolError::Config(_)
            | ToolError::Usage(_)
            | ToolError::Stranger(..)
            | ToolError::Refused(_)
            | ToolError::Nonsense(..)
            | ToolError::Socket(..)
            | ToolError::Taken(_)
            | ToolError::Unwritten(..) => false,
        }
    }

    fn view(&self) -> View<'_> {
        View {
            now: now(),
            status: self.status.as_ref(),
            away: self.away.as_ref(),
            rate: self.rate.bytes_a_second(),
        }
    }
}

/// Where it is shown.
enum Output {
    /// A person's terminal.
    Screen(Screen),
    /// A log, or a pipe.
    Lines(Told),
    /// A program.
    Json,
}

impl Output {
    fn open(json: bool) -> Output {
        if let Some(screen) = (!json).then(Screen::take).flatten() {
            return Output::Screen(screen);
        }
        end_when_asked();
        if json { Output::Json } else { Output::Lines(Told::default()) }
    }

    fn show(
        &mut self,
        at: Duration,
        watch: &Watch,
        answer: Result<String, String>,
    ) -> Result<Audience, ToolError> {
        let line = match self {
            Output::Screen(screen) => {
                return Audience::of(screen.show(&frame(&watch.view(), screen.look())));
            }
            Output::Lines(told) => told.next(at, &watch.view()),
            Output::Json => {
                let answer = answer.unwrap_or_else(|why| json!({"ok": false, "error": why}).to_string());
                Some(answer + "\n")
            }
        };
        match line {
            Some(line) => print(&line),
            None if is_unread() => Ok(Audience::Gone),
            None => Ok(Audience::There),
        }
    }
}

/// To be asked to stop is no failure; and unlike a screen, a pipe takes no farewell.
fn end_when_asked() {
    // Without them a signal ends it all the same.
    let Ok(mut signals) = Signals::new([Signal::Int, Signal::Term]) else { return };
    thread::spawn(move || {
        smol::block_on(signals.next());
        process::exit(0);
    });
}
