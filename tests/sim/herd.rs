//! A thousand agents lose their cloud at one instant. However long it stays away, they must not come back at one
//! instant, too; yet a single board should be back soon.

use crate::scene::UPLOADS;
use cloudtalker::{
    engine::{Engine, Frame, Input, Now, Output, Settings, spool::Scanned},
    wire::cloud::ToAgent,
};
use std::time::Duration;

const AGENTS: u64 = 1_000;
/// Long enough to forget former failures.
const LIVED: Duration = Duration::from_secs(600);
/// To connect, or to be refused.
const ROUND_TRIP: Duration = Duration::from_millis(20);

/// An agent that owes nothing.
struct Agent {
    engine: Engine,
    now: Duration,
    deadline: Option<Duration>,
    is_connecting: bool,
}

impl Agent {
    /// One whose session has lasted.
    fn settled(seed: u64) -> Agent {
        let settings = Settings::new("cloud:443/", UPLOADS);
        let found = Scanned { alarms: Some(Vec::new()), ..Scanned::default() };
        let engine = Engine::new(Now::default(), seed, settings, found);
        let mut agent = Agent { engine, now: Duration::ZERO, deadline: None, is_connecting: false };
        agent.drain();
        agent.tell(Input::SessionUp(None));
        agent.hear(&ToAgent { receipts: Some(true), ..ToAgent::default() });
        while agent.deadline.is_some_and(|deadline| deadline < LIVED) {
            agent.wake();
            agent.tell(Input::SessionHeard(Frame::Other));
        }
        agent.now = LIVED;
        agent
    }

    /// How long after its session broke it has the next one, where the cloud refuses all before its return.
    fn returns(mut self, outage: Duration) -> Duration {
        let lost_at = self.now;
        self.tell(Input::SessionDown("the cloud closed it".into()));
        loop {
            self.wake();
            if self.is_connecting {
                self.is_connecting = false;
                self.now += ROUND_TRIP;
                if self.now >= lost_at + outage {
                    return self.now - lost_at;
                }
                self.tell(Input::SessionDown("connection refused".into()));
            }
        }
    }

    fn wake(&mut self) {
        self.now = self.now.max(self.deadline.expect("it always waits for something"));
        self.tell(Input::Wake);
    }

    fn hear(&mut self, message: &ToAgent) {
        self.tell(Input::SessionHeard(Frame::Text(message.to_text())));
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(Now { mono: self.now, unix: 1_795_000_000 }, input);
        self.drain();
    }

    fn drain(&mut self) {
        loop {
            match self.engine.poll() {
                Output::Wait(deadline) => return self.deadline = deadline,
                output => self.is_connecting |= matches!(output, Output::Connect),
            }
        }
    }
}

/// When each is back after an outage, soonest first. A cloud that ends in order has told each how long to stay away.
fn returns(outage: Duration, told: Option<fn(u64) -> u32>) -> Vec<Duration> {
    let mut returns: Vec<Duration> = (0..AGENTS)
        .map(|number| {
            let mut agent = Agent::settled(number);
            agent.hear(&ToAgent { retry_after: told.map(|told| told(number)), ..ToAgent::default() });
            agent.returns(outage)
        })
        .collect();
    returns.sort_unstable();
    returns
}

/// Between 2 and 7 s, as our server tells a thousand.
fn spread(number: u64) -> u32 {
    2 + (number % 6) as u32
}

/// Connections a second: the most in any, counted from the first connection on, over the mean between the cloud's return
/// and the last of them.
fn peak_over_mean(returns: &[Duration], outage: Duration) -> f64 {
    let (first, last) = (returns[0], returns[returns.len() - 1]);
    let mut seconds = vec![0_u32; (last - first).as_secs() as usize + 1];
    for back in returns {
        seconds[(*back - first).as_secs() as usize] += 1;
    }
    let peak = seconds.into_iter().max().expect("there is one second at least");
    let mean = returns.len() as f64 / (last - outage).as_secs_f64().max(1.0);
    f64::from(peak) / mean
}

#[test]
fn a_thousand_agents_come_back_spread() {
    let mut crowded = Vec::new();
    for seconds in [0, 1, 2, 3, 5, 8, 13, 21, 34, 60, 120, 300, 600, 3600] {
        for (told, says) in [(None, "killed"), (Some(spread as fn(u64) -> u32), "ended in order")] {
            let outage = Duration::from_secs(seconds);
            let returns = returns(outage, told);
            let ratio = peak_over_mean(&returns, outage);
            let span = returns[returns.len() - 1] - returns[0];
            let line = format!("{says}, away for {seconds} s: within {span:.1?}, peak/mean {ratio:.1}");
            println!("{line}");
            if ratio >= 3.0 {
                crowded.push(line);
            }
        }
    }
    assert!(crowded.is_empty(), "{crowded:#?}");
}

#[test]
fn a_thousand_agents_that_come_back_at_once_are_crowded() {
    let at_once = vec![Duration::from_secs(4); AGENTS as usize];
    assert!(peak_over_mean(&at_once, Duration::ZERO) >= 3.0);
    assert!(peak_over_mean(&returns(Duration::ZERO, Some(|_| 4)), Duration::ZERO) >= 3.0);
}

#[test]
fn an_outage_lasts_hardly_more_than_twice_as_long_for_any_board() {
    for outage in [0.1, 5.0, 30.0, 60.0].map(Duration::from_secs_f64) {
        let last = returns(outage, None).pop().unwrap();
        assert!(
            last < 2 * outage + Duration::from_secs(3),
            "away for {outage:?}, but one was back after {last:?}"
        );
    }
    let last = returns(Duration::from_secs(3600), None).pop().unwrap();
    assert!(last < Duration::from_secs(3600 + 121), "{last:?}");
}
