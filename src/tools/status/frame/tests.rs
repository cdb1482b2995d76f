//! Frames as they stand in a terminal.

use super::{
    super::answer::{
        parse,
        tests::{BUSY, NEW},
    },
    *,
};

const NOW: u64 = 1_795_219_290;

fn plain(columns: usize) -> Look {
    Look { columns, rows: 24, has_unicode: true, has_colours: false }
}

fn view(status: &Status, rate: Option<u64>) -> View<'_> {
    View { now: NOW, status: Some(status), away: None, rate }
}

#[test]
fn a_busy_agent_at_80_columns() {
    let expected = "\
cloudtalker 0.1.0 at cloud.example:8443/                            00:01:30 UTC

session    up for 90 s
camera     armed
upload     1795215600.pir/2.mp4, 1.0 KiB of 4.0 KiB
           ███████████████▌░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░░  25 %
           1.0 KiB/s, 3 s left
rate       at most 64.0 KiB/s, until 01:00:00 UTC
budget     950.0 MiB of 1.0 GiB, short, 9 days until the next month
waiting    1 capture, 3 segments, 34.5 MiB, 9 h left
receipt    100 s ago
refused    2, see /var/lib/cloudtalker/refused
lost       1 segment, see /var/lib/cloudtalker/lost.log
inputs     3 not taken, the last one 40 s ago: the disk is full: 0 bytes are fr…
disk       can't be written for 60 s: /var/lib/cloudtalker: No space left on de…
commands   capture  12 s ago     waiting: /camera.sock: Connection refused
           arm      3 min ago    delivered";
    assert_eq!(frame(&view(&parse(BUSY).unwrap(), Some(1024)), plain(80)), expected);
}

#[test]
fn a_busy_agent_at_40_columns() {
    let expected = "\
cloudtalker 0.1.0 at cloud… 00:01:30 UTC

session    up for 90 s
camera     armed
upload     1795215600.pir/2.mp4,
           1.0 KiB of 4.0 KiB
           █████▌░░░░░░░░░░░░░░░░░  25 %
           nothing goes out
rate       at most 64.0 KiB/s,
           until 01:00:00 UTC
budget     950.0 MiB of 1.0 GiB, short,
           9 days until the next month
waiting    1 capture, 3 segments,
           34.5 MiB
receipt    100 s ago
refused    2, see /var/lib/cloudtalker/…
lost       1 segment, see /var/lib/clou…
inputs     3 not taken, the last one 40…
disk       can't be written for 60 s: /…
commands   capture  12 s     waiting: /…
           arm      3 min    delivered";
    assert_eq!(frame(&view(&parse(BUSY).unwrap(), Some(0)), plain(40)), expected);
}

#[test]
fn a_new_agent_has_little_to_show() {
    let expected = "\
cloudtalker 0.1.0 at cloud.example:8443/                            00:01:30 UTC

session    down for 90 s: connection refused
camera     the cloud has not said whether it is armed
upload     none in progress
waiting    nothing
receipt    none yet";
    assert_eq!(frame(&view(&parse(NEW).unwrap(), None), plain(80)), expected);
}

#[test]
fn an_agent_that_is_away_is_told_with_what_it_said_last() {
    let status = parse(NEW).unwrap();
    let away =
        Away { since: NOW - 7, seconds: 7, why: "expected the agent at /input.sock, but: gone".into() };
    let lines = frame(&View { away: Some(&away), ..view(&status, None) }, plain(80));
    assert!(lines.contains("\nno answer for 7 s\nexpected the agent at /input.sock, but: gone\n"), "{lines}");
    assert!(lines.contains("\nsession    down for 83 s"), "nobody knows of the time since: {lines}");
    let never = View { status: None, away: Some(&away), ..view(&status, None) };
    let expected = "\
cloudtalker                                                         00:01:30 UTC

no answer for 7 s
expected the agent at /input.sock, but: gone
";
    assert_eq!(frame(&never, plain(80)), expected);
    let expected = "\
cloudtalker     00:01:30 UTC

no answer for 7 s
expected the agent at
/input.sock, but: gone
";
    assert_eq!(frame(&never, plain(28)), expected);
}

#[test]
fn what_an_agent_that_is_away_said_last_grows_no_older() {
    let status = parse(BUSY).unwrap();
    let rows_at = |now: u64| {
        let away = Away { since: NOW, seconds: now - NOW, why: "gone".into() };
        let lines = frame(&View { now, away: Some(&away), ..view(&status, None) }, plain(80));
        lines.split_once("\nsession ").unwrap().1.to_owned()
    };
    assert_eq!(rows_at(NOW), rows_at(NOW + 3600));
    assert!(rows_at(NOW + 3600).contains("receipt    100 s ago"));
}

#[test]
fn a_terminal_that_is_too_low_is_told_how_many_lines_are_missing() {
    let status = parse(BUSY).unwrap();
    let shown = |rows: usize, has_unicode: bool| {
        frame(&view(&status, Some(1024)), Look { rows, has_unicode, ..plain(80) })
    };
    let whole = shown(24, true);
    let count = whole.lines().count();
    assert_eq!(shown(count, true), whole);
    let cut = shown(count - 1, true);
    assert_eq!(cut.lines().last(), Some("… 2 more lines"));
    assert!(whole.starts_with(cut.strip_suffix("… 2 more lines").unwrap()), "{cut}");
    assert!(shown(3, false).ends_with(&format!("\n~ {} more lines", count - 2)));
    assert_eq!(shown(1, true), whole.lines().next().unwrap());
}

#[test]
fn nothing_is_wider_or_higher_than_the_terminal() {
    let strange =
        BUSY.replace("/camera.sock", "/日本/камера/Ω").replace("cloud.example", &"long.".repeat(50));
    let status = parse(&strange).unwrap();
    for has_unicode in [true, false] {
        for columns in 0..130 {
            for rows in [0, 1, 5, 24] {
                let look = Look { columns, rows, has_unicode, has_colours: false };
                let lines = frame(&view(&status, Some(7)), look);
                assert!(lines.split('\n').count() <= rows.max(1), "{lines}");
                for line in lines.split('\n') {
                    let taken = width(line);
                    assert!(taken <= columns, "{columns}: {line:?}");
                    assert!(has_unicode || line.is_ascii(), "{line:?}");
                }
            }
        }
    }
}

#[test]
fn colours_take_no_room_and_end_with_their_line() {
    let status = parse(BUSY).unwrap();
    for columns in [10, 40, 80] {
        let coloured = frame(&view(&status, Some(7)), Look { has_colours: true, ..plain(columns) });
        let mut bare = String::new();
        for (index, part) in coloured.split('\x1b').enumerate() {
            bare.push_str(if index == 0 { part } else { part.split_once('m').unwrap().1 });
        }
        assert_eq!(bare, frame(&view(&status, Some(7)), plain(columns)));
        for line in coloured.lines().filter(|line| line.contains('\x1b')) {
            let last = line.rsplit('\x1b').next().unwrap();
            assert!(last.starts_with("[0m"), "{line:?}");
        }
    }
}

#[test]
fn a_bar_fills_as_its_segment_goes_out() {
    let bar_of = |sent: u64, has_unicode: bool| {
        let look = Look { has_unicode, ..plain(INDENT + PERCENT + 10) };
        let status = parse(BUSY).unwrap();
        let mut frame = Frame { view: &view(&status, None), look, lines: Vec::new() };
        frame.bar(sent / 10);
        frame.lines[0].trim_start().to_owned()
    };
    for (sent, expected, ascii) in [
        (0, "░░░░░░░░░░   0 %", "..........   0 %"),
        (49, "░░░░░░░░░░   4 %", "..........   4 %"),
        (50, "▌░░░░░░░░░   5 %", "..........   5 %"),
        (500, "█████░░░░░  50 %", "#####.....  50 %"),
        (999, "█████████▌  99 %", "#########.  99 %"),
        (1000, "██████████ 100 %", "########## 100 %"),
    ] {
        assert_eq!((bar_of(sent, true).as_str(), bar_of(sent, false).as_str()), (expected, ascii));
    }
}

#[test]
fn a_certificate_is_told_of_when_it_ends_soon() {
    for (expires, expected) in [
        (NOW - 1, Some("expiry     the certificate has expired")),
        (NOW + EXPIRES_SOON - 1, Some("expiry     the certificate ends in 29 days")),
        (NOW + EXPIRES_SOON, None),
    ] {
        let status = Status { certificate_expires: Some(expires), ..parse(NEW).unwrap() };
        let lines = frame(&view(&status, None), plain(80));
        assert_eq!(lines.lines().find(|line| line.starts_with("expiry")), expected);
    }
}

#[test]
fn what_is_left_takes_the_rest_of_the_segment_and_of_all() {
    let status = parse(BUSY).unwrap();
    for (rate, upload, all) in [
        (None, None, None),
        (Some(0), None, None),
        (Some(1000), Some(4), Some(36_175)),
        (Some(u64::MAX), Some(1), Some(1)),
    ] {
        let view = view(&status, rate);
        assert_eq!((view.left_of_upload(), view.left_of_all()), (upload, all));
    }
}
