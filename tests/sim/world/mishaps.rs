//! What happens by chance: the cloud's wishes, and what goes wrong.

use super::{World, pick, time::Happening};
use crate::{
    disk::{End, Fault, Trouble},
    plan::Act,
};
use cloudtalker::{engine::Input, wire::cloud::ToAgent};
use std::time::Duration;

impl World {
    pub(super) fn act(&mut self, act: Act) {
        match act {
            Act::CameraRecords => self.camera_records(),
            Act::CameraRepeats => self.camera_repeats(),
            Act::CameraRewrites => self.camera_rewrites(),
            Act::SensorAlarms => self.sensor_alarms(),
            Act::CloudArms => self.cloud_arms(),
            Act::CloudWantsACapture => self.cloud_wants_a_capture(),
            Act::CloudRestarts => self.cloud_restarts(),
            Act::CloudForgetsUploads => self.cloud.forget_uploads(),
            Act::StrayAppears => self.stray_appears(),
            Act::LinkBreaks => self.link_breaks(),
            Act::LinkStalls => self.link_stalls(),
            Act::LinkResumes => self.link_resumes(),
            Act::PowerCut => self.plan_end(End::PowerCut),
            Act::Kill => self.plan_end(End::Kill),
            Act::Restart => self.restart(),
            Act::Reload => self.tell(Input::Reload(self.settings())),
            Act::CallsFail => {
                let one_in = Some([2, 8, 40][pick(&mut self.rng, 3)]);
                self.set_trouble(Trouble { one_in, all: None });
            }
            Act::DiskIsFull => self.set_trouble(Trouble { one_in: None, all: Some(Fault::Enospc) }),
            Act::DiskIsReadOnly => self.set_trouble(Trouble { one_in: None, all: Some(Fault::Erofs) }),
            Act::DescriptorsRunOut => self.set_trouble(Trouble { one_in: None, all: Some(Fault::Emfile) }),
            Act::SyncsTakeSeconds => self.syncs_are_slow = true,
            Act::DiskHeals => self.heal_disk(),
            Act::ClockJumps => {
                let clock = [35, 1_795_000_000, 2_110_000_000][pick(&mut self.rng, 3)];
                self.set_clock(clock);
            }
        }
    }

    fn cloud_arms(&mut self) {
        let armed = self.chance(2) == 0;
        self.armed = Some(armed);
        self.levels_said.insert(armed);
        self.cloud_says(&ToAgent { pir_armed: Some(armed), ..ToAgent::default() });
    }

    fn cloud_wants_a_capture(&mut self) {
        self.wishes += 1;
        let request = Some(format!("wish {}", self.wishes));
        let message = ToAgent { capture_asap: Some(true), request, ..ToAgent::default() };
        self.cloud_says(&message);
        if self.chance(2) == 0 {
            self.cloud_says(&message);
        }
    }

    /// Sessions and requests end, and for a while nobody is there. It may ask to be left in peace before.
    fn cloud_restarts(&mut self) {
        if self.chance(2) == 0 {
            let retry_after = Some(self.chance(60) as u32);
            self.cloud_says(&ToAgent { retry_after, ..ToAgent::default() });
        }
        self.away_until = self.now + Duration::from_millis(self.chance(60_000));
        self.link_breaks();
        if self.chance(2) == 0 {
            self.cloud.forget_uploads();
        }
    }

    fn link_breaks(&mut self) {
        if let Some(link) = self.link() {
            let number = link.number;
            self.happen(Duration::from_millis(1), Happening::Unlinked(number));
        }
    }

    /// It ends in the midst of the disk's work, if that has any soon.
    fn plan_end(&mut self, end: End) {
        let calls = self.chance(60);
        let disk = &mut *self.files.0.borrow_mut();
        (disk.cut_in, disk.end) = (Some(calls), end);
    }

    /// The owner stops the agent, and starts it again.
    fn restart(&mut self) {
        self.tell(Input::Stop);
        self.board = None;
        self.boot();
    }

    /// The agent ends in the midst of something, and is started again.
    pub(super) fn crash(&mut self) {
        let end = self.files.0.borrow().end;
        self.note(|| format!("{end:?}"));
        self.board = None;
        match end {
            End::PowerCut => {
                self.outcome.power_cuts += 1;
                self.files.power_up();
                self.see_what_power_left();
                if self.chance(3) == 0 {
                    self.set_clock(35);
                }
            }
            End::Kill => self.outcome.kills += 1,
        }
        self.files.mend();
        self.boot();
    }

    fn set_trouble(&mut self, trouble: Trouble) {
        self.files.0.borrow_mut().trouble = trouble;
    }

    fn heal_disk(&mut self) {
        self.set_trouble(Trouble::default());
        self.syncs_are_slow = false;
    }

    pub(super) fn calm_down(&mut self) {
        self.note(|| "--- calm".to_owned());
        self.calm = true;
        self.heal_disk();
        if self.kind.scarce {
            // A disk that stays full is no calm: what the ledger has taken of it, the camera may have had.
            self.files.camera_keeps(0);
        }
        self.files.0.borrow_mut().cut_in = None;
        self.away_until = self.now;
        if self.kind.has_a_calendar() {
            // A time service has set it.
            self.set_clock(self.truth);
        }
    }
}
