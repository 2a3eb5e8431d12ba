//! Text, bytes and lists that carry their bound in their type.
//!
//! Every string and list on the wire is one of these, so that a decoder knows the most it may
//! allocate before it reads a byte. Their law: the count is checked against the bound, then the
//! bytes are seen to be there, and only then is memory taken (bincode's own limit would allow an
//! allocation of the whole limit for a lie of five bytes).

use std::fmt;
use std::ops::Deref;

use bincode::de::read::Reader;
use bincode::de::{BorrowDecode, BorrowDecoder, Decode, Decoder};
use bincode::enc::{Encode, Encoder};
use bincode::error::{DecodeError, EncodeError};

/// A value that is longer than its type allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLong {
    /// How long the value is, in bytes of text or elements of a list.
    pub length: usize,
    /// The most that is allowed, in the same unit.
    pub length_max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is more than the {} allowed", self.length, self.length_max)
    }
}

impl std::error::Error for TooLong {}

const fn within(length: usize, length_max: usize) -> Result<(), TooLong> {
    if length > length_max { Err(TooLong { length, length_max }) } else { Ok(()) }
}

/// UTF-8 of at most `N` bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text<const N: usize>(String);

/// At most `N` bytes.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Blob<const N: usize>(Vec<u8>);

/// At most `N` elements, each of which takes at least a byte.
///
/// A list of nothing could claim any length in nine bytes, so reading one does not compile:
///
/// ```compile_fail
/// use protocol::bounded::List;
/// bincode::decode_from_slice::<List<(), 4>, _>(&[4], bincode::config::standard());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct List<T, const N: usize>(Vec<T>);

impl<const N: usize> Text<N> {
    /// Takes the text, or says by how much it is too long.
    pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
        let text = text.into();
        within(text.len(), N)?;
        Ok(Self(text))
    }

    /// Takes as many whole characters as fit; for what people only read, never for what they wrote.
    #[must_use]
    pub fn cut(text: &str) -> Self {
        let end = (0..=N.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
        Self(text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned())
    }

    /// The text itself.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }
}

impl<const N: usize> Blob<N> {
    /// Takes the bytes, or says by how much they are too many.
    pub fn new(bytes: Vec<u8>) -> Result<Self, TooLong> {
        within(bytes.len(), N)?;
        Ok(Self(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl<T, const N: usize> List<T, N> {
    /// Takes the list, or says by how much it is too long.
    pub fn new(items: Vec<T>) -> Result<Self, TooLong> {
        within(items.len(), N)?;
        Ok(Self(items))
    }

    /// Takes the first `N` elements.
    #[must_use]
    pub fn cut(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().take(N).collect())
    }

    /// The elements themselves.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> IntoIterator for List<T, N> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<const N: usize> Deref for Text<N> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const N: usize> Deref for Blob<N> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<T, const N: usize> Deref for List<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> fmt::Display for Text<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const N: usize> fmt::Debug for Blob<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

impl<T: fmt::Debug, const N: usize> fmt::Debug for List<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<const N: usize> Encode for Text<N> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<const N: usize> Encode for Blob<N> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

impl<T: Encode + 'static, const N: usize> Encode for List<T, N> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.0.encode(encoder)
    }
}

/// Reads a length and refuses it when it is above the bound.
fn decode_length<D: Decoder>(decoder: &mut D, length_max: usize) -> Result<usize, DecodeError> {
    let length = u64::decode(decoder)?;
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= length_max)
        .ok_or(DecodeError::Other("a length is above its bound"))
}

/// Reads a length and as many bytes, which are seen to be there and to be good before `take` takes
/// memory for them.
fn decode_bytes<D: Decoder, T>(
    decoder: &mut D,
    length_max: usize,
    take: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let length = decode_length(decoder, length_max)?;
    decoder.claim_bytes_read(length)?;
    let reader = decoder.reader();
    let bytes =
        reader.peek_read(length).ok_or(DecodeError::UnexpectedEnd { additional: length })?;
    let taken = take(bytes)?;
    reader.consume(length);
    Ok(taken)
}

impl<Context, const N: usize> Decode<Context> for Text<N> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(decoder, N, |bytes| {
            let text = str::from_utf8(bytes).map_err(|inner| DecodeError::Utf8 { inner })?;
            Ok(Self(text.to_owned()))
        })
    }
}

impl<Context, const N: usize> Decode<Context> for Blob<N> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        decode_bytes(decoder, N, |bytes| Ok(Self(bytes.to_vec())))
    }
}

impl<Context, T: Decode<Context>, const N: usize> Decode<Context> for List<T, N> {
    fn decode<D: Decoder<Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        const { assert!(size_of::<T>() > 0, "a list of nothing would never end") };
        let length = decode_length(decoder, N)?;
        decoder.claim_container_read::<T>(length)?;
        // An element takes at least one byte on the wire, so more elements than bytes is a lie.
        if decoder.reader().peek_read(length).is_none() {
            return Err(DecodeError::UnexpectedEnd { additional: length });
        }
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            decoder.unclaim_bytes_read(size_of::<T>());
            items.push(T::decode(decoder)?);
        }
        Ok(Self(items))
    }
}

macro_rules! borrow_as_owned {
    ($([$($generics:tt)*] $type:ty;)*) => {$(
        impl<'de, Context, $($generics)*> BorrowDecode<'de, Context> for $type {
            fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(
                decoder: &mut D,
            ) -> Result<Self, DecodeError> {
                Self::decode(decoder)
            }
        }
    )*};
}

borrow_as_owned! {
    [const N: usize] Text<N>;
    [const N: usize] Blob<N>;
    [T: Decode<Context>, const N: usize] List<T, N>;
}

#[cfg(feature = "serde")]
impl<const N: usize> serde::Serialize for Text<N> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    fn decoded<T: Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
        let configuration = bincode::config::standard().with_limit::<262_144>();
        bincode::decode_from_slice(bytes, configuration).map(|(value, _)| value)
    }

    #[test]
    fn a_length_above_the_bound_is_refused() {
        assert!(decoded::<Text<4>>(&[5, b'a', b'b', b'c', b'd', b'e']).is_err());
        assert_eq!(&*decoded::<Text<4>>(&[2, b'a', b'b']).unwrap(), "ab");
    }

    #[test]
    fn a_length_that_lies_is_refused() {
        assert!(decoded::<Text<200_000>>(&[252, 64, 13, 3, 0]).is_err());
        assert!(decoded::<List<u64, 10_000>>(&[251, 16, 39, 1]).is_err());
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(&*Text::<4>::cut("aéé"), "aé");
        assert_eq!(&*Text::<9>::cut("aéé"), "aéé");
    }
}
