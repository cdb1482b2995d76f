//! Agent and server are killed at random moments under load: what was acknowledged is at the server, once.

use crate::harness::{Board, Server, Trial, number, seed};

/// As many as `make test` has time for; `CLOUDTALKER_KILLS` asks for more.
const KILLS: u64 = 250;

#[test]
fn nothing_is_lost_or_doubled_whoever_is_killed() {
    let kills = number("CLOUDTALKER_KILLS").unwrap_or(KILLS);
    let server = Server::start();
    let mut trial = Trial::begin(Board::new(&server), server, seed());
    while trial.blows < kills {
        let captures = 1 + trial.below(2);
        let lines = captures + trial.agent().printed();
        trial.record(captures);
        match trial.below(4) {
            0 => trial.hears(captures, |_| true),
            1 => trial.agent().prints(lines),
            _ => {
                trial.hears(1, |_| true);
                let owed = usize::try_from(trial.agent().status().spool.segments).unwrap();
                let uploads = trial.below(owed.min(8) + 1);
                (0..uploads).for_each(|_| drop(trial.agent().says("is at the server")));
            }
        }
        trial.jitter();
        match trial.below(8) {
            0 => trial.kill_server(|trial| {
                trial.record(2);
                trial.hears(1, |_| true);
            }),
            1 => trial.kill_server(Trial::kill_agent),
            _ => trial.kill_agent(),
        }
    }
    trial.end().is_none("kills");
}
