//! What the cloud wants, and what goes wrong.

use super::{Happening, Link, World, pick};
use cloudtalker::{
    engine::Frame,
    wire::cloud::{ToAgent, ToCloud},
};
use std::time::Duration;

impl World {
    pub(super) fn cloud_arms(&mut self) {
        let armed = self.chance(2) == 0;
        self.armed = Some(armed);
        self.cloud_says(&ToAgent { pir_armed: Some(armed), ..ToAgent::default() });
    }

    pub(super) fn cloud_wants_a_capture(&mut self) {
        self.wishes += 1;
        let request = Some(format!("wish {}", self.wishes));
        let message = ToAgent { capture_asap: Some(true), request, ..ToAgent::default() };
        self.cloud_says(&message);
        if self.chance(2) == 0 {
            self.cloud_says(&message);
        }
    }

    pub(super) fn cloud_says(&mut self, message: &ToAgent) {
        let text = message.to_text();
        let delay = Duration::from_millis(5 + self.chance(200));
        let (boot, now) = (self.boots, self.now);
        let Some(link) = self.board.as_mut().and_then(|board| board.session.as_mut()) else { return };
        // A cloud's first word answers the agent's.
        if !link.is_up || link.is_stalled || !link.greeted {
            return;
        }
        link.to_agent = link.to_agent.max(now + delay);
        let (number, at) = (link.number, link.to_agent);
        self.happen_at(at, Happening::AgentHears(boot, number, Frame::Text(text)));
    }

    pub(super) fn cloud_hears(&mut self, message: &ToCloud) {
        let is_greeting = self.link().is_some_and(|link| !std::mem::replace(&mut link.greeted, true));
        if is_greeting {
            self.cloud_says(&ToAgent { receipts: Some(true), pir_armed: self.armed, ..ToAgent::default() });
            for receipt in self.cloud.owed_receipts() {
                self.cloud_says(&receipt);
            }
        }
        if let Some(answer) = self.cloud.hear(message) {
            self.cloud_says(&answer);
        }
    }

    pub(super) fn link(&mut self) -> Option<&mut Link> {
        self.board.as_mut()?.session.as_mut()
    }

    pub(super) fn plan_power_cut(&mut self) {
        let calls = self.chance(60);
        self.files.0.borrow_mut().cut_in = Some(calls);
    }

    pub(super) fn link_breaks(&mut self) {
        let (boot, stalls) = (self.boots, self.chance(2) == 0);
        let Some(link) = self.link() else { return };
        if stalls {
            link.is_stalled = true;
        } else {
            let number = link.number;
            self.happen(Duration::ZERO, Happening::Unlinked(boot, number));
        }
    }

    pub(super) fn disk_goes_bad(&mut self) {
        let failing = [0, 0, 8, 40][pick(&mut self.rng, 4)];
        self.files.0.borrow_mut().failing = failing;
    }

    pub(super) fn clock_jumps(&mut self) {
        self.clock = [35, 1_795_000_000, 2_110_000_000][pick(&mut self.rng, 3)];
    }

    pub(super) fn calm_down(&mut self) {
        self.calm = true;
        let mut disk = self.files.0.borrow_mut();
        (disk.failing, disk.cut_in) = (0, None);
    }

    /// The agent dies, and is started again; what it wrote is there, synced or not.
    pub(super) fn agent_is_killed(&mut self) {
        self.outcome.crashes += 1;
        self.note(|| "killed".to_owned());
        self.board = None;
        self.boot();
    }

    /// The power goes, and comes back.
    pub(super) fn crash(&mut self) {
        self.outcome.crashes += 1;
        self.note(|| "power cut".to_owned());
        self.board = None;
        self.files.power_up();
        if self.chance(3) == 0 {
            self.clock = 35;
        }
        self.boot();
    }
}
