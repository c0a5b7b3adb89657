//! Decodes a gzip or deflate response, although none is requested, piece by piece as it is read.
//!
//! A few compressed bytes may expand to many, so pieces are small, and each is forwarded before the
//! next one is decoded: the reader counts the decoded bytes and stops at its own bound. Other
//! encodings pass unchanged, with their header.

use std::io;
use std::io::Write;

use bytes::Bytes;
use flate2::write::{MultiGzDecoder, ZlibDecoder};
use futures_util::{StreamExt, stream};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{HeaderMap, HeaderValue};

use super::attempt::{ReplyBody, Unreachable};

/// Compressed bytes decoded at once. Deflate expands them up to 1,032 times.
const PIECE: usize = 256;

/// The decompressed body, for known encodings; the headers of the encoding are removed.
pub(super) fn decoded(headers: &mut HeaderMap, body: ReplyBody) -> ReplyBody {
    let Some(decoder) = headers.get(CONTENT_ENCODING).and_then(Decoder::of) else { return body };
    headers.remove(CONTENT_ENCODING);
    headers.remove(CONTENT_LENGTH);
    let decoding = Decoding { body, decoder, left: Bytes::new(), ended: false };
    Box::pin(stream::unfold(decoding, Decoding::next))
}

enum Decoder {
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Deflate(Box<ZlibDecoder<Vec<u8>>>),
}

impl Decoder {
    fn of(encoding: &HeaderValue) -> Option<Self> {
        let encoding = encoding.to_str().ok()?.trim().to_ascii_lowercase();
        Some(match encoding.as_str() {
            "gzip" | "x-gzip" => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            "deflate" => Self::Deflate(Box::new(ZlibDecoder::new(Vec::new()))),
            _ => return None,
        })
    }

    /// Decoded form of these bytes, as far as it is known yet.
    fn take_in(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Self::Deflate(decoder) => {
                decoder.write_all(bytes)?;
                decoder.flush()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }

    /// The end: an error if something is missing.
    fn finish(&mut self) -> io::Result<Bytes> {
        match self {
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Self::Deflate(decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }
}

struct Decoding {
    body: ReplyBody,
    decoder: Decoder,
    /// Arrived and not decoded yet.
    left: Bytes,
    ended: bool,
}

impl Decoding {
    async fn next(mut self) -> Option<(Result<Bytes, Unreachable>, Self)> {
        while !self.ended {
            let decoded = if self.left.is_empty() {
                match self.body.next().await {
                    Some(Ok(bytes)) => {
                        self.left = bytes;
                        continue;
                    }
                    Some(Err(fault)) => {
                        self.ended = true;
                        return Some((Err(fault), self));
                    }
                    None => {
                        self.ended = true;
                        self.decoder.finish()
                    }
                }
            } else {
                let piece = self.left.split_to(self.left.len().min(PIECE));
                self.decoder.take_in(&piece)
            };
            match decoded {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some((Ok(bytes), self)),
                Err(_) => {
                    self.ended = true;
                    return Some((Err(Unreachable::Broken), self));
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};

    use super::*;

    async fn decode(
        encoding: &'static str,
        bytes: Vec<u8>,
        chunk: usize,
    ) -> Vec<Result<Bytes, Unreachable>> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        let chunks: Vec<_> =
            bytes.chunks(chunk).map(|chunk| Ok(Bytes::copy_from_slice(chunk))).collect();
        decoded(&mut headers, Box::pin(stream::iter(chunks))).collect().await
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn gzip_and_deflate_are_decoded_however_they_are_cut() {
        let text: Vec<u8> = (0..20_000u32).flat_map(u32::to_le_bytes).collect();
        let mut zlib = ZlibEncoder::new(Vec::new(), Compression::fast());
        zlib.write_all(&text).unwrap();
        let zlib = zlib.finish().unwrap();
        for chunk in [1, 100, 1 << 20] {
            for (encoding, bytes) in
                [("gzip", gzip(&text)), ("X-GZIP", gzip(&text)), ("deflate", zlib.clone())]
            {
                let pieces: Result<Vec<Bytes>, _> =
                    decode(encoding, bytes, chunk).await.into_iter().collect();
                assert_eq!(pieces.unwrap().concat(), text, "{encoding} {chunk}");
            }
        }
    }

    #[tokio::test]
    async fn what_is_cut_or_is_no_gzip_is_broken() {
        let whole = gzip(b"some text");
        for bytes in [whole[..whole.len() - 9].to_vec(), b"hello".to_vec()] {
            assert_eq!(decode("gzip", bytes, 7).await.last(), Some(&Err(Unreachable::Broken)));
        }
    }

    #[tokio::test]
    async fn a_bomb_comes_in_pieces_that_a_reader_can_stop_at() {
        let bomb = gzip(&vec![0; 8 << 20]);
        let longest =
            decode("gzip", bomb, 1 << 20).await.into_iter().map(|piece| piece.unwrap().len()).max();
        assert!(longest <= Some(512 << 10), "{longest:?}");
    }

    #[tokio::test]
    async fn an_unknown_encoding_passes_as_it_came() {
        let pieces = decode("br", b"hello".to_vec(), 9).await;
        assert_eq!(pieces, [Ok(Bytes::from_static(b"hello"))]);
    }
}
