//! The model file: a header that says what it was trained for, then one signed byte for each bucket.
//!
//! ```text
//!  0  magic "TASKMODL"      8  version u16      10  layout u16     12  bits u32       16  hash seed u32
//! 20  bias f32             24  scale f32        28  calibration 4 x f32 (slope, offset; without and with Hangul)
//! 44  digest of the training data u64           52  training rows u32                 56  check sum u32
//! 60  bits of the locator u32  64  its biases 2 x f32 72  its scale f32
//! 76  bits of the benefit's correction u32 (0: none)      80  its scale f32
//! 84  bias of the benefit f32  88  its weights 18 x f32 160  its weight of the score f32
//! 164 weights, 2^bits x i8, each times `scale`, then pairs of the locator, then the correction
//! ```
//! All numbers are little-endian. A weight is a byte because that costs less than a thousandth of AUC (measured, see
//! the model card) and keeps the table in a core's second cache. A file of another version or layout is refused: its
//! weights would be read as answers to other questions.
//!
//! Not done here: where the file comes from.

use std::borrow::Cow;

use super::benefit::FEATURES;
use super::benefit::Head;
use super::features::LAYOUT;
use super::model_error::ModelError;
use super::shape::Script;

const MAGIC: &[u8; 8] = b"TASKMODL";
const VERSION: u16 = 4;
const HEADER: usize = 92 + 4 * FEATURES;
/// The place of the check sum; it covers all other bytes.
const SUM_AT: usize = 56;
const SUM_ENDS: usize = 60;
/// Fewest and most bits of a bucket: 1,024 weights, and 1 MiB less the header would be 20.
const BITS: std::ops::RangeInclusive<u32> = 10..=19;
/// Fewest and most bits of a bucket of the benefit's correction.
const CORRECTION_BITS: std::ops::RangeInclusive<u32> = 8..=16;

/// A straight line in log-odds: what turns a sum of weights into a probability.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Calibration {
    /// The factor of the sum; above zero.
    pub(super) slope: f32,
    /// The summand after it.
    pub(super) offset: f32,
}

impl Calibration {
    /// The line that changes nothing.
    #[cfg(any(test, feature = "train"))]
    pub(super) const NONE: Self = Self { slope: 1.0, offset: 0.0 };
}

/// A trained model.
#[derive(Clone, PartialEq)]
pub(super) struct Model {
    /// Bits of a bucket's number.
    pub(super) bits: u32,
    /// Start of the hashes.
    pub(super) seed: u32,
    /// The sum of a turn in which nothing is seen.
    pub(super) bias: f32,
    /// The worth of a byte.
    pub(super) scale: f32,
    /// Calibration of turns without Hangul and with it.
    pub(super) calibrations: [Calibration; 2],
    /// Digest of the training data.
    pub(super) digest: u64,
    /// Rows of the training data.
    pub(super) rows: u32,
    /// Bits of a bucket's number in the locator.
    pub(super) locator_bits: u32,
    /// The locator's sum of a segment in which nothing is seen.
    pub(super) locator_bias: [f32; 2],
    /// The worth of a byte of the locator.
    pub(super) locator_scale: f32,
    /// The benefit's features.
    pub(super) benefit: Head,
    /// Bits of a bucket's number in the benefit's correction; 0 if there is none.
    pub(super) correction_bits: u32,
    /// The worth of a byte of the correction.
    pub(super) correction_scale: f32,
    /// Signed bytes: those of the score, those of the locator, those of the correction.
    pub(super) weights: Cow<'static, [u8]>,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Model")
            .field("bits", &self.bits)
            .field("rows", &self.rows)
            .field("digest", &format_args!("{:016x}", self.digest))
            .finish_non_exhaustive()
    }
}

impl Model {
    /// A model that knows nothing.
    pub(super) fn empty() -> Self {
        Self {
            bits: 0,
            seed: 0,
            bias: 0.0,
            scale: 1.0,
            calibrations: [Calibration { slope: 1.0, offset: 0.0 }; 2],
            digest: 0,
            rows: 0,
            locator_bits: 0,
            locator_bias: [0.0; 2],
            locator_scale: 1.0,
            benefit: Head::prior(),
            correction_bits: 0,
            correction_scale: 1.0,
            weights: Cow::Borrowed(&[]),
        }
    }

    /// Reads a model from its file's bytes.
    pub(super) fn parse(bytes: Cow<'static, [u8]>) -> Result<Self, ModelError> {
        let mut fields = Fields { rest: bytes.as_ref() };
        if fields.take() != Some(*MAGIC) {
            return Err(ModelError::NotAModel);
        }
        let short = ModelError::Size { found: bytes.len(), expected: HEADER };
        let version = fields.u16().ok_or(short)?;
        if version != VERSION {
            return Err(ModelError::Version { found: version, expected: VERSION });
        }
        let layout = fields.u16().ok_or(short)?;
        if layout != LAYOUT {
            return Err(ModelError::Layout { found: layout, expected: LAYOUT });
        }
        let mut model = Self::header(&mut fields).ok_or(short)?;
        let sum = fields.u32().ok_or(short)?;
        model.locator_bits = fields.u32().ok_or(short)?;
        model.locator_bias = [fields.f32().ok_or(short)?, fields.f32().ok_or(short)?];
        model.locator_scale = fields.f32().ok_or(short)?;
        model.correction_bits = fields.u32().ok_or(short)?;
        model.correction_scale = fields.f32().ok_or(short)?;
        model.benefit.bias = fields.f32().ok_or(short)?;
        for weight in &mut model.benefit.weights {
            *weight = fields.f32().ok_or(short)?;
        }
        model.benefit.unlike = fields.f32().ok_or(short)?;
        model.check()?;
        let expected = HEADER + model.correction_from() + model.correction_size();
        if bytes.len() != expected {
            return Err(ModelError::Size { found: bytes.len(), expected });
        }
        if sum != check_sum(&bytes) {
            return Err(ModelError::CheckSum);
        }
        model.weights = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(HEADER..).unwrap_or_default()),
            Cow::Owned(mut bytes) => Cow::Owned(bytes.split_off(HEADER)),
        };
        Ok(model)
    }

    fn header(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            bits: fields.u32()?,
            seed: fields.u32()?,
            bias: fields.f32()?,
            scale: fields.f32()?,
            calibrations: [fields.calibration()?, fields.calibration()?],
            digest: fields.take().map(u64::from_le_bytes)?,
            rows: fields.u32()?,
            ..Self::empty()
        })
    }

    fn check(&self) -> Result<(), ModelError> {
        let wrong = |field| Err(ModelError::Header { field });
        if !BITS.contains(&self.bits) || !BITS.contains(&self.locator_bits) {
            return wrong("bits");
        }
        let locator = self.locator_bias.iter().all(|bias| bias.is_finite())
            && self.locator_scale.is_finite()
            && self.locator_scale > 0.0;
        if !locator {
            return wrong("locator");
        }
        let corrects = self.correction_bits == 0 || CORRECTION_BITS.contains(&self.correction_bits);
        if !(corrects && self.benefit.is_finite() && self.correction_scale.is_finite()) {
            return wrong("benefit");
        }
        if !self.bias.is_finite() {
            return wrong("bias");
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            return wrong("scale");
        }
        let sound = |line: &Calibration| {
            line.slope.is_finite() && line.slope > 0.0 && line.offset.is_finite()
        };
        if !self.calibrations.iter().all(sound) {
            return wrong("calibration");
        }
        Ok(())
    }

    /// The bytes of the model's file.
    #[cfg(any(test, feature = "train"))]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.weights.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&LAYOUT.to_le_bytes());
        bytes.extend_from_slice(&self.bits.to_le_bytes());
        bytes.extend_from_slice(&self.seed.to_le_bytes());
        bytes.extend_from_slice(&self.bias.to_le_bytes());
        bytes.extend_from_slice(&self.scale.to_le_bytes());
        for line in self.calibrations {
            bytes.extend_from_slice(&line.slope.to_le_bytes());
            bytes.extend_from_slice(&line.offset.to_le_bytes());
        }
        bytes.extend_from_slice(&self.digest.to_le_bytes());
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&[0; SUM_ENDS - SUM_AT]);
        bytes.extend_from_slice(&self.locator_bits.to_le_bytes());
        for bias in self.locator_bias {
            bytes.extend_from_slice(&bias.to_le_bytes());
        }
        bytes.extend_from_slice(&self.locator_scale.to_le_bytes());
        bytes.extend_from_slice(&self.correction_bits.to_le_bytes());
        bytes.extend_from_slice(&self.correction_scale.to_le_bytes());
        bytes.extend_from_slice(&self.benefit.bias.to_le_bytes());
        for weight in self.benefit.weights {
            bytes.extend_from_slice(&weight.to_le_bytes());
        }
        bytes.extend_from_slice(&self.benefit.unlike.to_le_bytes());
        bytes.extend_from_slice(&self.weights);
        let sum = check_sum(&bytes).to_le_bytes();
        if let Some(place) = bytes.get_mut(SUM_AT..SUM_ENDS) {
            place.copy_from_slice(&sum);
        }
        bytes
    }

    /// The weight of a bucket, in units of `scale`; zero if there is no such bucket.
    pub(super) fn weight(&self, bucket: usize) -> i32 {
        weight_of(&self.weights, bucket)
    }

    /// The weights of the score as they stand in the file.
    pub(super) fn weights(&self) -> &[u8] {
        self.weights.get(..1 << self.bits).unwrap_or_default()
    }

    /// The weights of the locator.
    pub(super) fn locator(&self) -> &[u8] {
        self.weights.get(1 << self.bits..self.correction_from()).unwrap_or_default()
    }

    /// The weights of the benefit's correction; empty if there is none.
    pub(super) fn correction(&self) -> &[u8] {
        self.weights.get(self.correction_from()..).unwrap_or_default()
    }

    /// The first weight of the correction.
    fn correction_from(&self) -> usize {
        (1 << self.bits) + if self.locator_bits == 0 { 0 } else { 2 << self.locator_bits }
    }

    fn correction_size(&self) -> usize {
        if self.correction_bits == 0 { 0 } else { 1 << self.correction_bits }
    }

    /// The calibration for turns of a script.
    pub(super) fn calibration(&self, script: Script) -> Calibration {
        let [without, with] = self.calibrations;
        match script {
            Script::Latin => without,
            Script::Mixed | Script::Hangul => with,
        }
    }
}

/// FNV-1a over everything but the sum itself: it finds a damaged file, not a forged one.
fn check_sum(bytes: &[u8]) -> u32 {
    let (before, rest) = bytes.split_at_checked(SUM_AT).unwrap_or((bytes, &[]));
    let after = rest.get(SUM_ENDS - SUM_AT..).unwrap_or_default();
    before
        .iter()
        .chain(after)
        .fold(0x811c_9dc5, |sum: u32, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Reads numbers off the front of a slice.
struct Fields<'b> {
    rest: &'b [u8],
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*first)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn f32(&mut self) -> Option<f32> {
        self.take().map(f32::from_le_bytes)
    }

    fn calibration(&mut self) -> Option<Calibration> {
        Some(Calibration { slope: self.f32()?, offset: self.f32()? })
    }
}

/// The weight of a bucket; zero if there is no such bucket.
#[inline]
pub(super) fn weight_of(weights: &[u8], bucket: usize) -> i32 {
    weights.get(bucket).map_or(0, |&byte| i32::from(i8::from_le_bytes([byte])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Model {
        Model {
            bits: 10,
            seed: 7,
            bias: -0.5,
            scale: 0.01,
            calibrations: [Calibration::NONE, Calibration { slope: 1.5, offset: 0.25 }],
            digest: 0x0123_4567_89ab_cdef,
            rows: 3,
            locator_bits: 10,
            locator_bias: [0.5, 0.25],
            locator_scale: 0.02,
            benefit: Head::prior(),
            correction_bits: 8,
            correction_scale: 0.5,
            weights: Cow::Owned((0..3328u32).map(|at| at.to_le_bytes()[0]).collect()),
        }
    }

    fn parse(bytes: Vec<u8>) -> Result<Model, ModelError> {
        Model::parse(Cow::Owned(bytes))
    }

    #[test]
    fn what_is_written_is_read_again() {
        let model = small();
        assert_eq!(parse(model.to_bytes()), Ok(model.clone()));
        assert_eq!((model.weight(1), model.weight(255), model.weight(1 << 20)), (1, -1, 0));
    }

    #[test]
    fn another_layout_is_refused_in_clear_words() {
        let mut bytes = small().to_bytes();
        bytes[10] = 99;
        let fault = parse(bytes).unwrap_err();
        assert_eq!(fault, ModelError::Layout { found: 99, expected: LAYOUT });
        assert!(fault.to_string().contains("trained for feature layout 99"), "{fault}");
    }

    #[test]
    fn each_damage_has_its_name() {
        let good = small().to_bytes();
        let with = |at: usize, bytes: &[u8]| {
            let mut bad = good.clone();
            bad[at..at + bytes.len()].copy_from_slice(bytes);
            parse(bad).unwrap_err()
        };
        assert_eq!(with(0, b"X"), ModelError::NotAModel);
        assert_eq!(with(8, &[9]), ModelError::Version { found: 9, expected: VERSION });
        assert_eq!(with(12, &[40]), ModelError::Header { field: "bits" });
        assert_eq!(with(20, &f32::NAN.to_le_bytes()), ModelError::Header { field: "bias" });
        assert_eq!(with(76, &[3]), ModelError::Header { field: "benefit" });
        assert_eq!(with(84, &f32::NAN.to_le_bytes()), ModelError::Header { field: "benefit" });
        assert_eq!(with(24, &0f32.to_le_bytes()), ModelError::Header { field: "scale" });
        let slope = (-1f32).to_le_bytes();
        assert_eq!(with(28, &slope), ModelError::Header { field: "calibration" });
        assert_eq!(with(HEADER + 5, &[77]), ModelError::CheckSum);
        assert_eq!(parse(vec![]), Err(ModelError::NotAModel));
        let cut = good[..HEADER + 9].to_vec();
        let size = ModelError::Size { found: HEADER + 9, expected: HEADER + 3328 };
        assert_eq!(parse(cut), Err(size));
        assert!(matches!(parse(good[..30].to_vec()), Err(ModelError::Size { .. })));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            let mut marked = MAGIC.to_vec();
            marked.extend(&bytes);
            proptest::prop_assert!(parse(bytes).is_err() && parse(marked).is_err());
        }
    }
}
