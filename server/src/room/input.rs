//! Orders from standard input, line by line. Whatever comes there, and whenever it ends, the room goes on.

use super::{
    meter::{Meter, Rate},
    order::{Order, doubt},
    running::RunningRoom,
};
use std::time::Instant;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    time::sleep,
};

/// Bytes of a line; of a longer one nothing is carried out.
const LINE_MAX: usize = 64 << 10;
/// Orders that are carried out as they come, and so many a second from then on. A receiver that polls takes hundreds at a
/// time, but more wait for it than it may leave unread if a whole arrangement, or an animation of it, comes in one moment.
const ORDERS: Rate = Rate::of(100, 500);

/// A line, or what came instead.
#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(String),
    TooLong,
    NotText,
}

/// Carries out what comes until nothing comes any more.
pub async fn obey(room: &RunningRoom, input: impl AsyncRead + Unpin) {
    let mut input = BufReader::new(input);
    let (mut meter, began) = (Meter::default(), Instant::now());
    loop {
        let line = match next(&mut input).await {
            Ok(Some(line)) => line,
            Ok(None) => return log::info!("standard input has ended; the room goes on"),
            Err(error) => {
                return log::warn!("standard input can't be read any more, the room goes on: {error}");
            }
        };
        match line {
            Line::Text(line) => match Order::parse(&line) {
                Ok(None) => {}
                Ok(Some(order)) => {
                    sleep(meter.count(began.elapsed(), ORDERS)).await;
                    if let Some(doubt) = doubt(&line, &order) {
                        log::warn!("standard input: {doubt}");
                    }
                    if let Err(refused) = room.order(order) {
                        log::warn!("standard input: {refused}");
                    }
                }
                Err(error) => log::warn!("standard input: {error}"),
            },
            Line::TooLong => log::warn!("standard input: a line of more than {LINE_MAX} bytes is left out"),
            Line::NotText => log::warn!("standard input: expected text in UTF-8, but came something else"),
        }
    }
}

/// The next line without its end; none where there is nothing more.
async fn next(input: &mut (impl AsyncBufReadExt + Unpin)) -> std::io::Result<Option<Line>> {
    let (mut line, mut is_too_long) = (Vec::new(), false);
    loop {
        let read = input.fill_buf().await?;
        if read.is_empty() && line.is_empty() && !is_too_long {
            return Ok(None);
        }
        let end = read.iter().position(|byte| *byte == b'\n');
        let (part, used) = match end {
            Some(end) => (&read[..end], end + 1),
            None => (read, read.len()),
        };
        is_too_long |= line.len() + part.len() > LINE_MAX;
        if !is_too_long {
            line.extend_from_slice(part);
        }
        input.consume(used);
        if end.is_some() || used == 0 {
            break;
        }
    }
    Ok(Some(match String::from_utf8(line) {
        _ if is_too_long => Line::TooLong,
        Ok(text) => Line::Text(text),
        Err(_) => Line::NotText,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_bounded_and_the_last_needs_no_end() {
        let mut bytes = b"one\n\n\xff\xfe\n".to_vec();
        bytes.extend(vec![b'a'; 10 * LINE_MAX]);
        bytes.extend(b"\ntwo\r\nthree");
        let mut input = BufReader::with_capacity(7, bytes.as_slice());
        let mut lines = Vec::new();
        while let Some(line) = next(&mut input).await.unwrap() {
            lines.push(line);
        }
        let text = |text: &str| Line::Text(text.into());
        assert_eq!(
            lines,
            [text("one"), text(""), Line::NotText, Line::TooLong, text("two\r"), text("three")]
        );
    }
}
