//! Rooms in `serve`: as many as people make, kept in the database, driven by people who are signed in.

use super::{
    Rooms,
    door::{Door, Upstream},
    engine::{OrderRefused, Settings, SlotState, SlotView},
    janus::{self, Client, Codecs, JanusRoom, Trouble},
    order::{Order, SlotOrder},
    running::{Listeners, RunningRoom, UNTIL_CLOSED},
    words::{Geometry, RelativeTo, Secret, Visibility},
};
use crate::{
    bus::{Bus, Event},
    net::Stop,
    server::random_name,
    store::{Store, StoreError, StoredRoom, StoredSlot},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{sync::watch, task::JoinSet, time::sleep};

/// Rooms of one server. Each has a session in Janus, and asks it something every two seconds.
const MAX_ROOMS: i64 = 100;

/// All rooms that people made.
#[derive(Debug)]
pub struct Hosted {
    store: Store,
    bus: Bus,
    rooms: Arc<Rooms>,
    janus: Option<Janus>,
    hosting: Mutex<BTreeMap<u64, Hosting>>,
    /// One change after the other, so that what is kept is what was last wanted.
    changing: tokio::sync::Mutex<()>,
    tasks: Mutex<JoinSet<()>>,
}

/// Who keeps the rooms.
#[derive(Clone, Debug)]
pub struct Janus {
    /// Where it is.
    pub client: Client,
    /// What it wants of those who make rooms.
    pub admin_key: Option<Secret>,
    /// Where its WebSocket API is, to which browsers come.
    pub web_socket: Upstream,
}

/// A room that runs.
#[derive(Debug)]
struct Hosting {
    name: String,
    pin: String,
    running: Arc<RunningRoom>,
    end: watch::Sender<bool>,
}

/// A room that somebody wants.
#[derive(Debug)]
pub struct NewRoom {
    /// What people call it.
    pub name: String,
    /// How many slots it has.
    pub slots: usize,
    /// What a sender may send unless it is told otherwise, in bit/s; 0 is no limit.
    pub bitrate: u64,
    /// What entering it takes; one is made up where there is none.
    pub pin: Option<Secret>,
}

/// A room, to be shown to people who are signed in.
#[derive(Debug)]
pub struct RoomView<'a> {
    /// Its number in Janus.
    pub number: u64,
    /// What people call it.
    pub name: &'a str,
    /// What entering it takes.
    pub pin: &'a str,
    /// Whether Janus keeps it.
    pub is_kept: bool,
    /// Why not, where that is known.
    pub trouble: Option<Trouble>,
    /// Its slots, by number.
    pub slots: Vec<SlotView<'a>>,
}

/// Why something was not done with a room.
#[derive(Debug)]
pub enum HostedError {
    /// The server was started without a Janus.
    NoJanus,
    /// There are as many rooms as there may be.
    TooMany,
    /// There is no such room.
    NoRoom(u64),
    /// The room refuses the order.
    Refused(OrderRefused),
    /// The database.
    Store(StoreError),
}

impl Hosted {
    /// Opens all rooms that people made, where there is a Janus for them.
    pub async fn open(
        store: Store,
        bus: Bus,
        rooms: Arc<Rooms>,
        janus: Option<Janus>,
    ) -> Result<Arc<Hosted>, StoreError> {
        let hosted = Hosted {
            store,
            bus,
            rooms,
            janus,
            hosting: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            tasks: Mutex::default(),
        };
        if let Some(janus) = &hosted.janus {
            for room in hosted.store.rooms().await? {
                hosted.start(janus, room);
            }
        }
        Ok(Arc::new(hosted))
    }

    /// Where Socket.IO finds them.
    pub fn rooms(&self) -> Arc<Rooms> {
        self.rooms.clone()
    }

    /// Whether there is a Janus for them.
    pub fn has_janus(&self) -> bool {
        self.janus.is_some()
    }

    /// Browsers' way to Janus; none without one.
    pub fn door(&self) -> Option<Door> {
        self.janus.as_ref().map(|janus| self.rooms.door(janus.web_socket.clone()))
    }

    /// The numbers of all rooms.
    pub fn numbers(&self) -> Vec<u64> {
        self.lock().keys().copied().collect()
    }

    /// Looks at a room; none where there is no such one.
    pub fn look<T>(&self, number: u64, question: impl FnOnce(&RoomView<'_>) -> T) -> Option<T> {
        let hosting = self.lock();
        let room = hosting.get(&number)?;
        let trouble = room.running.trouble();
        Some(room.running.look(|engine| {
            question(&RoomView {
                number,
                name: &room.name,
                pin: &room.pin,
                is_kept: engine.is_kept(),
                trouble,
                slots: engine.slots().collect(),
            })
        }))
    }

    /// Makes a room, and returns its number.
    pub async fn add(&self, new: NewRoom) -> Result<u64, HostedError> {
        let janus = self.janus.as_ref().ok_or(HostedError::NoJanus)?;
        let _changing = self.changing.lock().await;
        let slot = |number| StoredSlot {
            token: None,
            annotation: None,
            geometry: kept_geometry(&first_place(number)),
            visible: true,
            bitrate_limit: new.bitrate,
        };
        let pin = new.pin.map_or_else(|| random_name()[..10].to_owned(), |pin| pin.reveal().to_owned());
        let slots = (0..new.slots).map(slot).collect();
        let room =
            StoredRoom { number: 0, name: new.name, secret: random_name(), pin, bitrate: new.bitrate, slots };
        let number = self.store.add_room(&room, MAX_ROOMS).await?.ok_or(HostedError::TooMany)?;
        self.start(janus, StoredRoom { number, ..room });
        self.bus.tell(Event::Room(number));
        Ok(number)
    }

    /// Removes a room, with all who are in it.
    pub async fn remove(&self, number: u64) -> Result<(), HostedError> {
        let _changing = self.changing.lock().await;
        if !self.store.remove_room(number).await? {
            return Err(HostedError::NoRoom(number));
        }
        let gone = self.lock().remove(&number);
        if let Some(Hosting { running, end, .. }) = gone {
            // Cameras are told to end, rather than to come back.
            for slot in 0..running.look(|engine| engine.slots().count()) {
                let _ = running.order(Order::Slot(slot, SlotOrder::Deactivate));
            }
            running.end();
            let _ = end.send(true);
            let rooms = self.rooms.clone();
            self.tasks().spawn(async move {
                // Who polls must still find the room, to fetch what is said last.
                sleep(UNTIL_CLOSED).await;
                running.close();
                rooms.remove(number);
            });
        }
        self.bus.tell(Event::RoomRemoved(number));
        Ok(())
    }

    /// Carries out an order once what comes of it is kept: what can't be kept does not happen.
    pub async fn order(&self, number: u64, order: Order) -> Result<(), HostedError> {
        let _changing = self.changing.lock().await;
        let room = self.lock().get(&number).map(|room| room.running.clone());
        let running = room.ok_or(HostedError::NoRoom(number))?;
        match &order {
            Order::EditPin(pin) => {
                self.store.set_room_pin(number, pin.reveal()).await?;
                if let Some(room) = self.lock().get_mut(&number) {
                    room.pin = pin.reveal().to_owned();
                }
            }
            Order::Slot(slot, wanted) => {
                let then = running.look(|room| room.rehearse(*slot, wanted.clone(), kept));
                self.store.set_room_slot(number, *slot, &then.map_err(HostedError::Refused)?).await?;
            }
        }
        running.order(order).map_err(HostedError::Refused)?;
        self.bus.tell(Event::Room(number));
        Ok(())
    }

    /// Tells everybody in all rooms that they end. Who is there comes back by himself once there is a server again.
    pub fn say_goodbye(&self) {
        for room in self.lock().values() {
            room.running.end();
            let _ = room.end.send(true);
        }
    }

    /// Sends everybody away, and waits until Janus has no room of ours any more.
    pub async fn end(&self) {
        for room in self.lock().values() {
            room.running.close();
        }
        let mut tasks = std::mem::take(&mut *self.tasks());
        while tasks.join_next().await.is_some() {}
    }

    /// Runs a room as it was kept.
    fn start(&self, janus: &Janus, room: StoredRoom) {
        let settings = Settings {
            slots: room.slots.len(),
            bitrate: room.bitrate,
            // What people wrote was sanitised before it was kept.
            trust_annotations: false,
        };
        let listeners = Listeners { notifications: None, bus: Some(self.bus.clone()) };
        let running = RunningRoom::new(room.number, settings, listeners);
        for (slot, wanted) in room.slots.iter().enumerate() {
            for order in orders(wanted) {
                if let Err(refused) = running.order(Order::Slot(slot, order)) {
                    log::error!("room {}: what was kept can't be had: {refused}", room.number);
                }
            }
        }
        let janus_room = JanusRoom {
            number: room.number,
            secret: Secret::of(&room.secret),
            pin: Some(Secret::of(&room.pin)),
            bitrate: room.bitrate,
            publishers: room.slots.len(),
            admin_key: janus.admin_key.clone(),
            codecs: Codecs::H264AndVp8,
        };
        let (end, ends) = Stop::new();
        let mut tasks = self.tasks();
        while tasks.try_join_next().is_some() {}
        tasks.spawn(janus::keep(running.clone(), janus.client.clone(), janus_room, ends.clone()));
        tasks.spawn({
            let running = running.clone();
            async move {
                tokio::select! {
                    () = running.keep_time() => {}
                    () = ends.requested() => {}
                }
            }
        });
        self.rooms.add(running.clone());
        let hosting = Hosting { name: room.name, pin: room.pin, running, end };
        self.lock().insert(room.number, hosting);
    }

    fn tasks(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Hosting>> {
        self.hosting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is kept of a slot.
fn kept(slot: &SlotView<'_>) -> StoredSlot {
    let token = match &slot.state {
        SlotState::Closed => None,
        SlotState::Open { token, .. } => Some(token.reveal().to_owned()),
    };
    StoredSlot {
        token,
        annotation: slot.annotation.map(|annotation| annotation.as_str().to_owned()),
        geometry: kept_geometry(slot.geometry),
        visible: slot.visibility == Visibility::Shown,
        bitrate_limit: slot.limit,
    }
}

/// The orders that make a new slot what was kept of it.
fn orders(kept: &StoredSlot) -> Vec<SlotOrder> {
    let visibility = if kept.visible { Visibility::Shown } else { Visibility::Hidden };
    let mut orders = vec![SlotOrder::SetVisibility(visibility)];
    orders.extend(geometry(&kept.geometry).map(SlotOrder::SetGeometry));
    orders.extend(kept.annotation.clone().map(SlotOrder::SetAnnotation));
    if let Some(token) = &kept.token {
        orders.push(SlotOrder::Activate(Secret::of(token), None));
        orders.push(SlotOrder::SetBitrateLimit(kept.bitrate_limit));
    }
    orders
}

/// Where a slot's picture is until somebody moves it: the first one's is the original's, and twelve lie beside and above each
/// other on a screen of 1280 × 720.
fn first_place(slot: usize) -> Geometry {
    let (right, bottom) = ((slot % 4 * 320).to_string(), (slot / 4 % 3 * 240).to_string());
    Geometry::parse(RelativeTo::Canvas, &["rb", &right, &bottom, "320", "240"]).unwrap_or_default()
}

fn kept_geometry(geometry: &Geometry) -> String {
    format!("{} {}", geometry.relative_to().word(), geometry.params().join(" "))
}

fn geometry(kept: &str) -> Option<Geometry> {
    let (relative_to, words) = kept.split_once(' ')?;
    let words: Vec<&str> = words.split(' ').collect();
    Geometry::parse(RelativeTo::from_word(relative_to)?, &words).ok()
}

impl From<StoreError> for HostedError {
    fn from(error: StoreError) -> HostedError {
        HostedError::Store(error)
    }
}

impl fmt::Display for HostedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostedError::NoJanus => f.write_str("there is no Janus: --janus-url says where one is"),
            HostedError::TooMany => write!(f, "there are {MAX_ROOMS} rooms already, and no more may be"),
            HostedError::NoRoom(number) => write!(f, "there is no room {number}"),
            HostedError::Refused(refused) => refused.fmt(f),
            HostedError::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HostedError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::room::engine::Room;

    #[tokio::test]
    async fn what_can_not_be_kept_does_not_happen() {
        let (_dir, hosted, number) = hosted_with_a_room().await;
        hosted.store.close().await;
        for line in ["activate_slot 0 t0ken", "hide 0", "edit_pin 4321"] {
            let order = Order::parse(line).unwrap().unwrap();
            assert!(matches!(hosted.order(number, order).await, Err(HostedError::Store(_))), "{line}");
        }
        hosted.look(number, |room| {
            assert!(matches!(room.slots[0].state, SlotState::Closed));
            assert_eq!(room.slots[0].visibility, Visibility::Shown);
            assert_ne!(room.pin, "4321");
        });
    }

    #[tokio::test]
    async fn who_polls_finds_a_removed_room_until_all_is_said() {
        let (_dir, hosted, number) = hosted_with_a_room().await;
        hosted.remove(number).await.unwrap();
        assert!(hosted.look(number, |_| ()).is_none());
        assert!(hosted.rooms.room(number).is_some());
        hosted.end().await;
        assert!(hosted.rooms.room(number).is_none());
    }

    /// One room of one slot, whose Janus is away.
    async fn hosted_with_a_room() -> (tempfile::TempDir, Arc<Hosted>, u64) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let client = Client::new("http://127.0.0.1:9/janus".parse().unwrap());
        let janus = Janus { client, admin_key: None, web_socket: Upstream::default() };
        let rooms = Rooms::new(crate::room::Reach::Direct);
        let hosted = Hosted::open(store, Bus::default(), rooms, Some(janus)).await.unwrap();
        let new = NewRoom { name: "Lecture".into(), slots: 1, bitrate: 0, pin: None };
        let number = hosted.add(new).await.unwrap();
        (dir, hosted, number)
    }

    #[test]
    fn twelve_pictures_have_a_place_each_the_first_as_in_the_original() {
        assert_eq!(first_place(0), Geometry::default());
        let mut places: Vec<String> = (0..12).map(|slot| kept_geometry(&first_place(slot))).collect();
        places.sort();
        places.dedup();
        assert_eq!(places.len(), 12);
        assert!(places.iter().all(|place| geometry(place).is_some()));
    }

    #[test]
    fn a_slot_comes_back_as_it_was_kept() {
        let settings = Settings { slots: 1, bitrate: 128_000, trust_annotations: false };
        let mut room = Room::new(settings.clone());
        for line in [
            "activate_slot 0 t0ken <b>Ada</b> & co",
            "set_geometry_relative_to_window 0 lt -1 2.5 30 40 5",
            "hide 0",
            "set_bitrate_limit 0 64000",
        ] {
            room.handle_order(Order::parse(line).unwrap().unwrap()).unwrap();
        }
        let before = kept(&room.slots().next().unwrap());
        let mut again = Room::new(settings);
        for order in orders(&before) {
            again.handle_order(Order::Slot(0, order)).unwrap();
        }
        assert_eq!(kept(&again.slots().next().unwrap()), before);
        assert_eq!(before.annotation.as_deref(), Some("<b>Ada</b> &amp; co"));
    }
}
