//! What a connection carries, in words.

use std::time::Duration;

use crate::model::{Rate, Traffic};
use crate::render::text::number;
use crate::render::text::safe::Text;
use crate::render::text::time;
use crate::render::words::column::Column;

/// The cell of one of the columns about traffic, as a person reads it: `1.2M`, a second where the rate is known.
pub fn cell(column: Column, traffic: Option<&Traffic>) -> Option<Text> {
    let traffic = traffic?;
    let flow = |total: u64, rate: Option<u64>| match rate {
        Some(rate) => self::rate(rate),
        None => number::bytes(total),
    };
    let text = match column {
        Column::Rx => flow(traffic.received, traffic.rate.map(|rate| rate.received)),
        Column::Tx => flow(traffic.sent, traffic.rate.map(|rate| rate.sent)),
        Column::Rtt => time::short_span(Duration::from_micros(traffic.rtt_us?.into())),
        Column::Retransmits => traffic.retransmits.to_string(),
        Column::Idle => time::span(Duration::from_millis(traffic.idle_ms?.into())),
        _ => return None,
    };
    Some(Text::plain(text))
}

/// The whole value, as programs read it: bytes, microseconds for the round-trip time, milliseconds of silence.
pub fn value(column: Column, traffic: Option<&Traffic>) -> Option<Text> {
    let traffic = traffic?;
    let number = match column {
        Column::Rx => traffic.received,
        Column::Tx => traffic.sent,
        Column::Rtt => traffic.rtt_us?.into(),
        Column::Retransmits => traffic.retransmits.into(),
        Column::Idle => traffic.idle_ms?.into(),
        _ => return None,
    };
    Some(Text::plain(number.to_string()))
}

/// `1.2M/s`.
fn rate(bytes: u64) -> String {
    format!("{}/s", number::bytes(bytes))
}

/// `rx 1.2M/s, tx 30K/s`: everything that is shown together.
pub fn total(rate: Rate) -> String {
    format!("rx {}, tx {}", self::rate(rate.received), self::rate(rate.sent))
}
