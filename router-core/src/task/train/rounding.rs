//! Weights as bytes, and what tells training data apart.

use super::rows::Row;

/// The largest byte of a weight.
const LARGEST: f32 = 127.0;

/// The worth of a byte, so that the heaviest weight is the largest byte.
pub(super) fn scale(table: &[f32]) -> f32 {
    let heaviest = table.iter().fold(0.0_f32, |most, weight| most.max(weight.abs()));
    if heaviest > 0.0 { heaviest / LARGEST } else { 1.0 }
}

#[expect(clippy::cast_possible_truncation, reason = "held within the bytes just before")]
fn nearest(weight: f32, scale: f32) -> i8 {
    (weight / scale).round().clamp(-LARGEST, LARGEST) as i8
}

/// A weight as a byte.
pub(super) fn byte(weight: f32, scale: f32) -> u8 {
    let [byte] = nearest(weight, scale).to_le_bytes();
    byte
}

/// Weights as they are after a trip through bytes.
pub(super) fn rounded(table: &[f32]) -> Vec<f32> {
    let scale = scale(table);
    table.iter().map(|weight| f32::from(nearest(*weight, scale)) * scale).collect()
}

/// FNV-1a over bodies and labels: tells training data apart, proves nothing.
pub(super) fn digest(rows: &[Row]) -> u64 {
    let bytes = rows.iter().flat_map(|row| row.body().bytes().chain(row.task.as_str().bytes()));
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
