//! Pages and files made smaller in transit, as the browser says it can take them.
//!
//! Used for drawn pages, which exist whole before their first byte leaves. Its law: brotli where it
//! is taken, else gzip, else nothing; levels at which a page costs less than a millisecond.

use std::io::Write;

use http::HeaderMap;
use http::header::ACCEPT_ENCODING;

/// Measured on a page of fifty messages: 22.4 kB become 4.3 kB within a millisecond.
const BROTLI_QUALITY: u32 = 4;
const BROTLI_WINDOW_BITS: u32 = 20;
/// Shorter bodies are not worth the header.
const BYTES_MIN: usize = 256;

/// How a body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// `br`
    Brotli,
    /// `gzip`
    Gzip,
    /// As it is.
    Identity,
}

impl Encoding {
    /// The best that the client takes (RFC 9110, 12.5.3); a weight of 0 is a no.
    #[must_use]
    pub fn accepted(headers: &HeaderMap) -> Self {
        let takes = |wanted: &str| {
            headers
                .get_all(ACCEPT_ENCODING)
                .iter()
                .filter_map(|header| header.to_str().ok())
                .flat_map(|header| header.split(','))
                .any(|offer| {
                    let (name, weight) = offer.split_once(';').unwrap_or((offer, ""));
                    let weight = weight.trim().strip_prefix("q=").map(str::parse::<f32>);
                    name.trim().eq_ignore_ascii_case(wanted)
                        && !matches!(weight, Some(Ok(weight)) if weight <= 0.0)
                })
        };
        if takes("br") {
            Self::Brotli
        } else if takes("gzip") {
            Self::Gzip
        } else {
            Self::Identity
        }
    }

    /// The name in `Content-Encoding`; nothing for a body as it is.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Brotli => Some("br"),
            Self::Gzip => Some("gzip"),
            Self::Identity => None,
        }
    }

    /// The body in this encoding, or as it is where that is not worth it.
    #[must_use]
    pub fn encode(self, body: &[u8]) -> Option<Vec<u8>> {
        if body.len() < BYTES_MIN {
            return None;
        }
        match self {
            Self::Brotli => {
                let mut out = Vec::with_capacity(body.len() / 4);
                let mut writer = brotli::CompressorWriter::new(
                    &mut out,
                    4_096,
                    BROTLI_QUALITY,
                    BROTLI_WINDOW_BITS,
                );
                writer.write_all(body).ok()?;
                writer.flush().ok()?;
                drop(writer);
                Some(out)
            }
            Self::Gzip => {
                let out = Vec::with_capacity(body.len() / 4);
                let mut writer = flate2::write::GzEncoder::new(out, flate2::Compression::default());
                writer.write_all(body).ok()?;
                writer.finish().ok()
            }
            Self::Identity => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn accepted(value: &str) -> Encoding {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, value.parse().unwrap());
        Encoding::accepted(&headers)
    }

    #[test]
    fn the_best_that_is_taken_is_used() {
        assert_eq!(accepted("gzip, deflate, br, zstd"), Encoding::Brotli);
        assert_eq!(accepted("br;q=0, GZIP;q=0.5"), Encoding::Gzip);
        assert_eq!(accepted("deflate"), Encoding::Identity);
        assert_eq!(Encoding::accepted(&HeaderMap::new()), Encoding::Identity);
    }

    #[test]
    fn a_body_comes_out_as_it_went_in() {
        let body = "<li>text</li>".repeat(200).into_bytes();
        let mut brotli_out = Vec::new();
        let packed = Encoding::Brotli.encode(&body).unwrap();
        brotli::Decompressor::new(&*packed, 4_096).read_to_end(&mut brotli_out).unwrap();
        let mut gzip_out = Vec::new();
        let packed = Encoding::Gzip.encode(&body).unwrap();
        flate2::read::GzDecoder::new(&*packed).read_to_end(&mut gzip_out).unwrap();
        assert_eq!((brotli_out, gzip_out), (body.clone(), body));
        assert_eq!(Encoding::Brotli.encode(b"short"), None);
    }
}
