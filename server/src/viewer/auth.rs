//! The people's password: made by us, kept as a slow hash, tried in turns.
//!
//! The hash is PBKDF2 with HMAC-SHA-256, because ring has it and the server has ring. A memory-hard one would be
//! the better choice for passwords of people's own; ours has 20 random letters, 100 bits, which no guessing
//! reaches, so that the hash only has to stand between a stolen database and a future weaker password.
//!
//! ```text
//! pbkdf2-sha256$ITERATIONS$SALT$HASH      salt and hash in base64
//! ```

use crate::server::fill_random;
use base64::{Engine, prelude::BASE64_STANDARD};
use ring::pbkdf2;
use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::Semaphore;

/// No letter that is mistaken for another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const LETTERS: usize = 20;
/// Letters between two dashes.
const GROUP: usize = 5;

/// What OWASP asks for since 2023: a tenth of a second on a desk, half a second on a small board.
const ITERATIONS: NonZeroU32 = NonZeroU32::new(600_000).expect("it is not 0");
const ALGORITHM: pbkdf2::Algorithm = pbkdf2::PBKDF2_HMAC_SHA256;
const SCHEME: &str = "pbkdf2-sha256";
const SALT: usize = 16;
const HASH: usize = 32;

/// Hashes computed at the same time: the cameras' side needs the processor, too.
const HASHING: usize = 2;
/// Attempts of one address that may wait for their turn.
const WAITING: usize = 4;
/// How long a wrong password keeps its address's next attempt waiting.
const WRONG_PAUSE: Duration = Duration::from_secs(1);

/// A password as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Password {
    iterations: NonZeroU32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

/// Who may try a password when.
///
/// The attempts of one address come one after the other, and all of them share [`HASHING`] places first come, first
/// served. So a stranger who floods us delays the others by one hash a turn, and never locks them out.
#[derive(Debug)]
pub(super) struct Attempts {
    addresses: Mutex<HashMap<IpAddr, Arc<Semaphore>>>,
    hashing: Semaphore,
    wrong_pause: Duration,
}

/// What became of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Right,
    Wrong,
    /// Too many of this address wait already.
    Crowded,
}

impl Password {
    /// A new password: what is kept, and the text that people type.
    pub fn generate() -> (Password, String) {
        let mut random = [0; LETTERS];
        fill_random(&mut random);
        // 256 is a multiple of 32: no letter is likelier than another.
        let letters = random.map(|byte| char::from(ALPHABET[usize::from(byte) % ALPHABET.len()]));
        let groups: Vec<String> = letters.chunks(GROUP).map(|group| group.iter().collect()).collect();
        let text = groups.join("-");
        (Password::of(&text), text)
    }

    /// What is kept of this text.
    pub fn of(text: &str) -> Password {
        let mut salt = vec![0; SALT];
        fill_random(&mut salt);
        let mut hash = vec![0; HASH];
        pbkdf2::derive(ALGORITHM, ITERATIONS, &salt, text.as_bytes(), &mut hash);
        Password { iterations: ITERATIONS, salt, hash }
    }

    /// Whether this is the text, compared in constant time. It takes long, by intent: not for a worker thread.
    pub fn verify(&self, text: &str) -> bool {
        pbkdf2::verify(ALGORITHM, self.iterations, &self.salt, text.as_bytes(), &self.hash).is_ok()
    }

    /// What [`Password`]'s `Display` wrote.
    pub fn parse(kept: &str) -> Option<Password> {
        let mut fields = kept.split('$');
        let scheme = fields.next()?;
        let iterations = fields.next()?.parse().ok()?;
        let salt = BASE64_STANDARD.decode(fields.next()?).ok()?;
        let hash = BASE64_STANDARD.decode(fields.next()?).ok()?;
        let is_ours = scheme == SCHEME && fields.next().is_none();
        is_ours.then_some(Password { iterations, salt, hash })
    }
}

/// As it is kept in the database.
impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, hash) = (BASE64_STANDARD.encode(&self.salt), BASE64_STANDARD.encode(&self.hash));
        write!(f, "{SCHEME}${}${salt}${hash}", self.iterations)
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Password").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl Attempts {
    pub(super) fn new() -> Attempts {
        Attempts { addresses: Mutex::default(), hashing: Semaphore::new(HASHING), wrong_pause: WRONG_PAUSE }
    }

    /// Tries a password for somebody at this address.
    pub(super) async fn attempt(&self, from: IpAddr, password: Password, text: String) -> Attempt {
        let Some(place) = self.place(from) else { return Attempt::Crowded };
        let _turn = place.turn.acquire().await.expect("it is never closed");
        let is_right = {
            let _hashing = self.hashing.acquire().await.expect("it is never closed");
            let verified = tokio::task::spawn_blocking(move || password.verify(&text)).await;
            verified.expect("a hash doesn't panic")
        };
        if is_right {
            return Attempt::Right;
        }
        tokio::time::sleep(self.wrong_pause).await;
        Attempt::Wrong
    }

    /// A place in the address's queue; none where it is full.
    fn place(&self, from: IpAddr) -> Option<Place<'_>> {
        let address = household(from);
        let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = addresses.entry(address).or_insert_with(|| Arc::new(Semaphore::new(1)));
        // The map holds one of the counted; every place another one.
        let is_full = Arc::strong_count(turn) > WAITING;
        (!is_full).then(|| Place { attempts: self, address, turn: turn.clone() })
    }
}

/// A place in an address's queue.
struct Place<'a> {
    attempts: &'a Attempts,
    address: IpAddr,
    turn: Arc<Semaphore>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut addresses = self.attempts.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_last = Arc::strong_count(&self.turn) == 2;
        if is_last {
            addresses.remove(&self.address);
        }
    }
}

/// One household has one IPv4 address, but a whole /64 of IPv6.
pub(crate) fn household(address: IpAddr) -> IpAddr {
    const HOST_BITS: u32 = 64;
    match address.to_canonical() {
        IpAddr::V4(v4) => IpAddr::V4(v4),
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> HOST_BITS << HOST_BITS)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_four_groups_and_the_only_one_that_fits() {
        let (password, text) = Password::generate();
        assert_eq!(text.split('-').map(str::len).collect::<Vec<_>>(), [GROUP; LETTERS / GROUP]);
        assert!(password.verify(&text));
        assert!(!password.verify(&text[1..]));
        assert_ne!(Password::generate().1, text);
    }

    #[test]
    fn what_is_kept_comes_back_and_does_not_hold_the_text() {
        let (password, text) = Password::generate();
        let kept = password.to_string();
        assert!(!kept.contains(&text));
        assert!(Password::parse(&kept).unwrap().verify(&text));
        for damaged in
            ["", "plain$1$YQ==$YQ==", "pbkdf2-sha256$0$YQ==$YQ==", &format!("{kept}$"), &kept[..20]]
        {
            assert!(Password::parse(damaged).is_none(), "{damaged}");
        }
    }

    #[tokio::test]
    async fn a_wrong_password_pauses_its_own_address_only() {
        let attempts = Attempts { wrong_pause: Duration::MAX, ..Attempts::new() };
        let kept = quick_hash("right");
        let stranger = attempts.attempt(IpAddr::from([192, 0, 2, 1]), kept.clone(), "guess".into());
        let owner = attempts.attempt(IpAddr::from([192, 0, 2, 2]), kept, "right".into());
        tokio::select! {
            _ = stranger => panic!("the stranger may go on"),
            outcome = owner => assert_eq!(outcome, Attempt::Right),
        }
        assert!(attempts.addresses.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_flood_of_one_address_is_refused_beyond_its_queue() {
        let attempts = Attempts { wrong_pause: Duration::ZERO, ..Attempts::new() };
        let kept = quick_hash("right");
        let address = IpAddr::from([192, 0, 2, 1]);
        let flood = (0..10).map(|_| attempts.attempt(address, kept.clone(), "guess".into()));
        let outcomes = futures_util::future::join_all(flood).await;
        let crowded = outcomes.iter().filter(|outcome| **outcome == Attempt::Crowded).count();
        assert_eq!(crowded, 10 - WAITING);
    }

    #[test]
    fn a_household_is_one_address() {
        let ip = |text: &str| household(text.parse().unwrap());
        assert_eq!(ip("2001:db8::1"), ip("2001:db8::ffff:2"));
        assert_ne!(ip("2001:db8:0:1::1"), ip("2001:db8::1"));
        assert_eq!(ip("::ffff:192.0.2.1"), ip("192.0.2.1"));
        assert_ne!(ip("192.0.2.1"), ip("192.0.2.2"));
    }

    fn quick_hash(text: &str) -> Password {
        let mut hash = vec![0; HASH];
        pbkdf2::derive(ALGORITHM, NonZeroU32::MIN, b"salt", text.as_bytes(), &mut hash);
        Password { iterations: NonZeroU32::MIN, salt: b"salt".to_vec(), hash }
    }
}
