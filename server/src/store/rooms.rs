//! Rooms as people made them, and what they want of each slot.

use super::{Result, Store, int, uint};
use sqlx::Row;

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRoom {
    /// In Janus.
    pub number: u64,
    /// What people call it.
    pub name: String,
    /// What administers it in Janus.
    pub secret: String,
    /// What entering it takes.
    pub pin: String,
    /// What a sender may send unless it is told otherwise, in bit/s; 0 is no limit.
    pub bitrate: u64,
    /// By number.
    pub slots: Vec<StoredSlot>,
}

/// What people want of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSlot {
    /// Without one nobody may send.
    pub token: Option<String>,
    /// HTML as it reaches receivers.
    pub annotation: Option<String>,
    /// `canvas` or `window`, then corner, x, y, width, height and perhaps z.
    pub geometry: String,
    /// Whether its picture is to be seen.
    pub visible: bool,
    /// Bit/s at most; 0 is no limit.
    pub bitrate_limit: u64,
}

impl Store {
    /// Keeps a room under a number of its own, which it gets here and no other ever had: links to a room that is gone lead
    /// nowhere. None where there are `most` already.
    pub async fn add_room(&self, room: &StoredRoom, most: i64) -> Result<Option<u64>> {
        let mut tx = self.write().await?;
        let number: Option<i64> = sqlx::query_scalar(
            "INSERT INTO rooms (name, secret, pin, bitrate) SELECT ?, ?, ?, ? \
             WHERE (SELECT count(*) FROM rooms) < ? RETURNING number",
        )
        .bind(&room.name)
        .bind(&room.secret)
        .bind(&room.pin)
        .bind(int(room.bitrate))
        .bind(most)
        .fetch_optional(&mut *tx)
        .await?;
        let Some(number) = number else { return Ok(None) };
        for (slot, wanted) in (0..).zip(&room.slots) {
            set_slot(number, slot, wanted).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        Ok(Some(uint(number)))
    }

    /// Forgets a room. False where there is none.
    pub async fn remove_room(&self, number: u64) -> Result<bool> {
        let removed = sqlx::query("DELETE FROM rooms WHERE number = ?").bind(int(number));
        Ok(removed.execute(&self.writer).await?.rows_affected() > 0)
    }

    /// Keeps another pin.
    pub async fn set_room_pin(&self, number: u64, pin: &str) -> Result<()> {
        let set = sqlx::query("UPDATE rooms SET pin = ? WHERE number = ?").bind(pin).bind(int(number));
        set.execute(&self.writer).await?;
        Ok(())
    }

    /// Keeps what people want of a slot.
    pub async fn set_room_slot(&self, number: u64, slot: usize, wanted: &StoredSlot) -> Result<()> {
        let slot = i64::try_from(slot).unwrap_or(i64::MAX);
        set_slot(int(number), slot, wanted).execute(&self.writer).await?;
        Ok(())
    }

    /// All rooms, by number.
    pub async fn rooms(&self) -> Result<Vec<StoredRoom>> {
        let rooms = sqlx::query("SELECT number, name, secret, pin, bitrate FROM rooms ORDER BY number");
        let mut rooms: Vec<StoredRoom> = rooms
            .try_map(|row: sqlx::sqlite::SqliteRow| {
                Ok(StoredRoom {
                    number: uint(row.try_get("number")?),
                    name: row.try_get("name")?,
                    secret: row.try_get("secret")?,
                    pin: row.try_get("pin")?,
                    bitrate: uint(row.try_get("bitrate")?),
                    slots: Vec::new(),
                })
            })
            .fetch_all(&self.readers)
            .await?;
        for room in &mut rooms {
            let slots = sqlx::query(
                "SELECT token, annotation, geometry, visible, bitrate_limit FROM slots WHERE room = ? ORDER BY slot",
            );
            let slots = slots.bind(int(room.number)).try_map(|row: sqlx::sqlite::SqliteRow| {
                Ok(StoredSlot {
                    token: row.try_get("token")?,
                    annotation: row.try_get("annotation")?,
                    geometry: row.try_get("geometry")?,
                    visible: row.try_get("visible")?,
                    bitrate_limit: uint(row.try_get("bitrate_limit")?),
                })
            });
            room.slots = slots.fetch_all(&self.readers).await?;
        }
        Ok(rooms)
    }
}

fn set_slot(
    room: i64,
    slot: i64,
    wanted: &StoredSlot,
) -> sqlx::query::Query<'_, sqlx::Sqlite, sqlx::sqlite::SqliteArguments> {
    sqlx::query("INSERT OR REPLACE INTO slots VALUES (?, ?, ?, ?, ?, ?, ?)")
        .bind(room)
        .bind(slot)
        .bind(&wanted.token)
        .bind(&wanted.annotation)
        .bind(&wanted.geometry)
        .bind(wanted.visible)
        .bind(int(wanted.bitrate_limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_room_is_kept_until_it_is_removed_and_no_more_than_may_be() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("db")).await.unwrap();
        let slot = StoredSlot {
            token: None,
            annotation: None,
            geometry: "canvas rb 0 0 320 240".into(),
            visible: true,
            bitrate_limit: 0,
        };
        let mut room = StoredRoom {
            number: 0,
            name: "Lecture".into(),
            secret: "s".into(),
            pin: "1234".into(),
            bitrate: 128_000,
            slots: vec![slot.clone(), slot.clone()],
        };
        assert_eq!(store.add_room(&room, 2).await.unwrap(), Some(1000));
        assert_eq!(store.add_room(&room, 2).await.unwrap(), Some(1001));
        assert_eq!(store.add_room(&room, 2).await.unwrap(), None);
        room.slots[1].token = Some("t0ken".into());
        store.set_room_slot(1000, 1, &room.slots[1]).await.unwrap();
        store.set_room_pin(1000, "4321").await.unwrap();
        room = StoredRoom { number: 1000, pin: "4321".into(), ..room };
        assert_eq!(store.rooms().await.unwrap()[0], room);
        assert!(store.remove_room(1000).await.unwrap());
        assert!(!store.remove_room(1000).await.unwrap());
        let numbers: Vec<u64> = store.rooms().await.unwrap().iter().map(|room| room.number).collect();
        assert_eq!(numbers, [1001]);
        assert!(store.remove_room(1001).await.unwrap());
        assert_eq!(store.add_room(&room, 2).await.unwrap(), Some(1002), "no number is used again");
    }
}
