//! Request bodies that arrive compressed (RFC 9110, section 8.4).

use std::io::Read;

use bytes::Bytes;

use crate::dialect::{Error, Kind};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950, or bare RFC 1951 as some clients mean it.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
}

/// The largest window of zstd, as a power of two: the 8 MiB that every decoder should support (RFC 8878, section 3.1.1.1.2).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;

impl Encoding {
    /// Reads `content-encoding`.
    ///
    /// # Errors
    /// [`Kind::UnsupportedMediaType`]
    pub fn of(field: Option<&[u8]>) -> Result<Self, Error> {
        let name = field
            .unwrap_or(b"identity")
            .trim_ascii()
            .to_ascii_lowercase();
        match &name[..] {
            b"" | b"identity" => Ok(Self::Identity),
            b"gzip" | b"x-gzip" => Ok(Self::Gzip),
            b"deflate" => Ok(Self::Deflate),
            b"br" => Ok(Self::Brotli),
            b"zstd" => Ok(Self::Zstd),
            _ => Err(Error::new(
                Kind::UnsupportedMediaType,
                "the content-encoding is not understood; gzip, deflate, br, zstd and identity are",
            )),
        }
    }

    /// Decompresses a body to at most `limit` bytes.
    ///
    /// # Errors
    /// [`Kind::RequestTooLarge`], or [`Kind::InvalidRequest`] if it is not what it says.
    pub fn decode(self, body: Bytes, limit: usize) -> Result<Bytes, Error> {
        match self {
            Self::Identity => Ok(body),
            Self::Gzip => read(flate2::read::MultiGzDecoder::new(&body[..]), limit),
            // A zlib stream begins with CM 8 and a header that is a multiple of 31 (RFC 1950, section 2.2).
            Self::Deflate => match body.first_chunk() {
                Some(&[first, second])
                    if first & 0x0f == 8 && u16::from_be_bytes([first, second]) % 31 == 0 =>
                {
                    read(flate2::read::ZlibDecoder::new(&body[..]), limit)
                }
                _ => read(flate2::read::DeflateDecoder::new(&body[..]), limit),
            },
            Self::Brotli => read(brotli::Decompressor::new(&body[..], 4096), limit),
            Self::Zstd => {
                let decoder = zstd::stream::read::Decoder::with_buffer(&body[..]);
                let bounded = decoder.and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                });
                read(bounded.map_err(|_| undecodable())?, limit)
            }
        }
    }
}

fn read(decoder: impl Read, limit: usize) -> Result<Bytes, Error> {
    let mut decoded = Vec::new();
    let mut bounded = decoder.take(limit as u64 + 1);
    match bounded.read_to_end(&mut decoded) {
        Ok(_) if decoded.len() > limit => Err(too_large(limit)),
        Ok(_) => Ok(Bytes::from(decoded)),
        Err(_) => Err(undecodable()),
    }
}

fn undecodable() -> Error {
    let message = "the body is not what its content-encoding says";
    Error::new(Kind::InvalidRequest, message)
}

/// The body is over the limit, compressed or not.
pub fn too_large(limit: usize) -> Error {
    let message = format!("the body is larger than {limit} bytes (`server.max_body`)");
    Error::new(Kind::RequestTooLarge, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    const TEXT: &[u8] = br#"{"model":"m"}"#;

    fn all() -> [(Encoding, Vec<u8>); 5] {
        use flate2::Compression;
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
        let mut deflate = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
        let mut brotli = brotli::CompressorWriter::new(Vec::new(), 4096, 5, 20);
        gzip.write_all(TEXT).unwrap();
        zlib.write_all(TEXT).unwrap();
        deflate.write_all(TEXT).unwrap();
        brotli.write_all(TEXT).unwrap();
        [
            (Encoding::Gzip, gzip.finish().unwrap()),
            (Encoding::Deflate, zlib.finish().unwrap()),
            (Encoding::Deflate, deflate.finish().unwrap()),
            (Encoding::Brotli, brotli.into_inner()),
            (Encoding::Zstd, zstd::encode_all(TEXT, 0).unwrap()),
        ]
    }

    #[test]
    fn every_encoding_is_undone() {
        for (encoding, body) in all() {
            let decoded = encoding.decode(body.into(), TEXT.len()).unwrap();
            assert_eq!(&decoded[..], TEXT, "{encoding:?}");
        }
    }

    #[test]
    fn the_limit_counts_what_comes_out() {
        for (encoding, body) in all() {
            let error = encoding.decode(body.into(), TEXT.len() - 1).unwrap_err();
            assert_eq!(error.kind, Kind::RequestTooLarge, "{encoding:?}");
        }
    }

    #[test]
    fn what_is_not_what_it_says_is_refused() {
        for (encoding, _) in all() {
            let error = encoding
                .decode(Bytes::from_static(b"\xff\xff\xff{}"), 100)
                .unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest, "{encoding:?}");
        }
        assert!(Encoding::of(Some(b"gzip, br")).is_err());
        assert_eq!(Encoding::of(Some(b" GZIP ")).unwrap(), Encoding::Gzip);
    }
}
