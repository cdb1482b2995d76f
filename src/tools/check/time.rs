//! What time it is, and how long the camera's certificate holds by that.

use super::report::Outcome;
use crate::{
    shell::disk,
    tls::{self, ClientTls, Floor},
    tools::{EXPIRES_SOON, status::now, text::span},
    wire::utc::Utc,
};
use std::path::Path;

/// The floor is what the agent would have: a good time that can't be counts for nothing.
pub fn raise_to_good_time(floor: &Floor, state_dir: &Path, tls: Option<&ClientTls>) {
    let good_time = disk::remembered(state_dir).good_time;
    let latest = tls::clock::latest(tls.and_then(|tls| tls.certificate_expires));
    if let Some(time) = good_time.filter(|time| *time <= latest) {
        floor.raise(time);
    }
}

/// How long the camera's certificate holds.
pub fn expiry(expires: Option<u64>, floor: u64) -> Outcome {
    judge_expiry(expires, now().max(floor))
}

fn judge_expiry(expires: Option<u64>, now: u64) -> Outcome {
    const RENEW: &str = "have the server make a new one (`cloudtalker-server camera add`)";
    match expires {
        None => Outcome::Doubtful("the certificate does not tell when it ends".into()),
        Some(end) if end <= now => {
            Outcome::Failed(format!("this camera's certificate expired on {}: {RENEW}", Utc(end)))
        }
        Some(end) if end - now < EXPIRES_SOON => {
            Outcome::Doubtful(format!("only until {} (in {}): {RENEW}", Utc(end), span(end - now)))
        }
        Some(end) => Outcome::Fine(format!("until {} (in {})", Utc(end), span(end - now))),
    }
}

/// Whether the clock can be right.
pub fn clock(floor: u64) -> Outcome {
    judge_clock(now(), floor, tls::clock::latest(None))
}

fn judge_clock(now: u64, floor: u64, latest: u64) -> Outcome {
    const CURE: &str = "does a time service run (chronyd, ntpd, systemd-timesyncd)?";
    if now < floor {
        let (now, floor) = (Utc(now), Utc(floor));
        return Outcome::Doubtful(format!(
            "it says {now}, but it is {floor} at least, and the agent goes by that meanwhile: {CURE}"
        ));
    }
    if now > latest {
        let now = Utc(now);
        return Outcome::Failed(format!(
            "it says {now}, which can't be, and every server's certificate looks expired: set it; {CURE}"
        ));
    }
    Outcome::Fine(Utc(now).to_string())
}

#[cfg(test)]
mod tests {
    use super::{super::report::tests::is, *};

    const DAY: u64 = 24 * 60 * 60;

    #[test]
    fn a_certificate_warns_a_month_before_its_end() {
        let now = 1_795_219_200;
        for (expires, expected) in [
            (None, "doubtful: the certificate does not tell"),
            (
                Some(now - 1),
                "failed: this camera's certificate expired on 2026-11-20T23:59:59Z: have the server",
            ),
            (Some(now), "failed: "),
            (Some(now + 1), "doubtful: only until 2026-11-21T00:00:01Z (in 1 s): have the server"),
            (Some(now + 30 * DAY - 1), "doubtful: "),
            (Some(now + 30 * DAY), "fine: until 2026-12-21T00:00:00Z (in 30 days)"),
        ] {
            is(&judge_expiry(expires, now), expected);
        }
    }

    #[test]
    fn a_clock_below_the_floor_is_borne_and_one_beyond_all_bounds_is_not() {
        let (floor, latest) = (1_795_219_200, 1_795_219_200 + 7000 * DAY);
        for (now, expected) in [
            (0, "doubtful: it says 1970-01-01T00:00:00Z, but it is 2026-11-21T00:00:00Z at least"),
            (floor - 1, "doubtful: "),
            (floor, "fine: 2026-11-21T00:00:00Z"),
            (latest, "fine: "),
            (latest + 1, "failed: it says 2046-01-20T00:00:01Z, which can't be"),
        ] {
            is(&judge_clock(now, floor, latest), expected);
        }
    }
}
