//! Answers to `POST /v1/embeddings`.
//!
//! A vector is the sum of directions, one for each word and one for each three letters in a row, of length 1: texts
//! that share words are near each other, those that share parts of words less so, and others far. As with real
//! embeddings, all share a little.

use bytes::Bytes;

use super::refuse::{self, Refusal};
use super::request::{EmbeddingRequest, Input};
use super::seed::Seed;
use super::text::{beginning, words};

/// OpenAI's own number where the request sets none.
const DIMENSIONS_DEFAULT: i64 = 1536;
/// How many numbers a word or three letters change.
const SPREAD: usize = 8;
/// What three letters count beside a word.
const TRIGRAM_WEIGHT: f32 = 0.3;
/// What a word of up to three letters counts beside a longer one.
const SHORT_WEIGHT: f32 = 0.25;
/// The square of the part that all vectors share, of 1.
const SHARED: f32 = 0.1;
/// Longest model name that is echoed, in bytes.
const MODEL_MAX: usize = 256;
/// How many bytes are made at a time, or a little more.
const CHUNK: usize = 64 * 1024;

/// An answer that is written as it is asked for: two thousand large vectors are tens of megabytes.
#[derive(Debug)]
pub(super) struct Embeddings {
    inputs: Vec<Input<'static>>,
    dimensions: usize,
    base64: bool,
    model: String,
    prompt_tokens: usize,
    next: usize,
    is_over: bool,
}

/// The answer to a request, and the seed that stands for the request.
pub(super) fn embed(
    model: &str,
    request: EmbeddingRequest<'_>,
) -> Result<(Embeddings, Seed), Refusal> {
    let dimensions = refuse::dimensions(request.dimensions.unwrap_or(DIMENSIONS_DEFAULT))?;
    let base64 = match request.encoding_format.as_deref() {
        None | Some("float") => false,
        Some("base64") => true,
        Some(other) => {
            return Err(refuse::unknown_value(
                "encoding_format",
                other,
                "'float' and 'base64'",
            ));
        }
    };
    let inputs = request.input.0;
    refuse::inputs(inputs.len())?;
    let mut seed = Seed::new(0xe3be).with_bytes(model.as_bytes());
    let mut prompt_tokens = 0;
    for input in &inputs {
        let tokens = input.tokens();
        if tokens == 0 {
            let message = "Invalid 'input': input cannot be an empty string.";
            return Err(Refusal::new("input", "invalid_value", message));
        }
        prompt_tokens += tokens;
        seed = input.mixed_into(&seed);
    }
    let embeddings = Embeddings {
        inputs: inputs.into_iter().map(Input::into_owned).collect(),
        dimensions,
        base64,
        model: beginning(model, MODEL_MAX).to_owned(),
        prompt_tokens,
        next: 0,
        is_over: false,
    };
    Ok((embeddings, seed))
}

impl Iterator for Embeddings {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        if self.is_over {
            return None;
        }
        let mut chunk = Vec::with_capacity(CHUNK.min(self.dimensions * 14 + 256));
        if self.next == 0 {
            chunk.extend_from_slice(b"{\"object\":\"list\",\"data\":[");
        }
        while chunk.len() < CHUNK && self.next < self.inputs.len() {
            self.write_vector(&mut chunk);
            self.next += 1;
        }
        if self.next == self.inputs.len() {
            self.is_over = true;
            let model = serde_json::Value::from(&*self.model);
            let tokens = self.prompt_tokens;
            let end = format!(
                "],\"model\":{model},\"usage\":{{\"prompt_tokens\":{tokens},\"total_tokens\":{tokens}}}}}"
            );
            chunk.extend_from_slice(end.as_bytes());
        }
        Some(chunk.into())
    }
}

impl Embeddings {
    fn write_vector(&self, chunk: &mut Vec<u8>) {
        let comma = if self.next > 0 { "," } else { "" };
        let start = format!(
            "{comma}{{\"object\":\"embedding\",\"index\":{},\"embedding\":",
            self.next
        );
        chunk.extend_from_slice(start.as_bytes());
        let vector = vector(&self.inputs[self.next], self.dimensions);
        if self.base64 {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            chunk.push(b'"');
            write_base64(&bytes, chunk);
            chunk.push(b'"');
        } else {
            // Numbers into memory: nothing here can fail.
            serde_json::to_writer(&mut *chunk, &vector).unwrap_or_default();
        }
        chunk.push(b'}');
    }
}

/// The vector of one input, of length 1.
fn vector(input: &Input<'_>, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    match input {
        Input::Text(text) => add_words(text, &mut vector),
        Input::Tokens(tokens) => {
            for token in tokens {
                add(Seed::new(2).with(u64::from(*token)), 1.0, &mut vector);
            }
        }
    }
    scale(&mut vector, (1.0 - SHARED).sqrt());
    let mut shared = Seed::new(3);
    let share = (SHARED / dimensions as f32).sqrt();
    for number in &mut vector {
        *number += if shared.number() & 1 == 0 {
            share
        } else {
            -share
        };
    }
    scale(&mut vector, 1.0);
    vector
}

fn add_words(text: &str, vector: &mut [f32]) {
    let mut letters = String::new();
    for word in words(text) {
        letters.clear();
        letters.extend(word.chars().flat_map(char::to_lowercase));
        let weight = if letters.len() <= 3 {
            SHORT_WEIGHT
        } else {
            1.0
        };
        add(Seed::new(0).with_bytes(letters.as_bytes()), weight, vector);
        let starts = letters.char_indices().map(|(start, _)| start);
        let ends = letters
            .char_indices()
            .map(|(start, one)| start + one.len_utf8());
        for (start, end) in starts.zip(ends.skip(2)) {
            let trigram = &letters.as_bytes()[start..end];
            add(
                Seed::new(1).with_bytes(trigram),
                weight * TRIGRAM_WEIGHT,
                vector,
            );
        }
    }
}

/// Adds a direction of its own.
fn add(mut direction: Seed, weight: f32, vector: &mut [f32]) {
    for _ in 0..SPREAD {
        let number = direction.number();
        let place = (number >> 1) as usize % vector.len();
        vector[place] += if number & 1 == 0 { weight } else { -weight };
    }
}

/// Gives a vector this length; one that is 0 stays so.
fn scale(vector: &mut [f32], length: f32) {
    let now = vector
        .iter()
        .map(|number| number * number)
        .sum::<f32>()
        .sqrt();
    if now > 0.0 {
        let factor = length / now;
        vector.iter_mut().for_each(|number| *number *= factor);
    }
}

fn write_base64(bytes: &[u8], into: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    into.reserve(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(padded);
        let letters = [18, 12, 6, 0].map(|shift| LETTERS[(bits >> shift & 63) as usize]);
        into.extend_from_slice(&letters[..=three.len()]);
        into.resize(into.len() + 3 - three.len(), b'=');
    }
}
