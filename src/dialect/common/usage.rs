//! What an answer was billed for.

/// Declares [`Usage`] and its table of names at once, so that no part can be forgotten in either.
macro_rules! usage {
    ($($(#[$doc:meta])* $field:ident = $name:literal,)*) => {
        /// What an answer was billed for, as the provider reported it. Zero where it says nothing.
        ///
        /// One algebra for all dialects: `input_tokens` and `output_tokens` are everything, and every other count of
        /// tokens is a part of one of them, whatever the provider's own numbers leave out of each other. Parts of
        /// different kinds overlap (a token read from the cache may be audio).
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Usage {
            $($(#[$doc])* pub $field: u64,)*
        }

        impl Usage {
            /// How many parts there are.
            pub const PARTS: usize = Self::NAMES.len();

            /// The parts' names, as they are written in prices, in the ledger and by `tollgate price`.
            pub const NAMES: &[&str] = &[$($name),*];

            /// The parts, in the order of [`Usage::NAMES`].
            #[must_use]
            pub const fn parts(&self) -> [u64; Self::PARTS] {
                [$(self.$field),*]
            }

            /// The usage of so much, in the order of [`Usage::NAMES`].
            #[must_use]
            pub const fn from_parts(parts: [u64; Self::PARTS]) -> Self {
                let [$($field),*] = parts;
                Self { $($field),* }
            }

            /// What two calls were billed for together.
            #[must_use]
            pub const fn plus(self, other: Self) -> Self {
                Self { $($field: self.$field.saturating_add(other.$field)),* }
            }
        }
    };
}

usage! {
    /// Tokens of the request: cached, written to the cache, of tools and of every kind of media included.
    input_tokens = "input_tokens",
    /// Tokens of the answer: reasoning and every kind of media included.
    output_tokens = "output_tokens",
    /// Of the output: reasoning.
    reasoning_tokens = "output_reasoning_tokens",
    /// Of the input: read from the provider's cache.
    cache_read_tokens = "cache_read_tokens",
    /// Of the input: written to the provider's cache, for any time.
    cache_write_tokens = "cache_write_tokens",
    /// Of those: said to be written for five minutes.
    cache_write_5m_tokens = "cache_write_5m_tokens",
    /// Of those: written for an hour.
    cache_write_1h_tokens = "cache_write_1h_tokens",
    /// Of the input: text, where the provider tells kinds apart.
    input_text_tokens = "input_text_tokens",
    /// Of the input: audio.
    input_audio_tokens = "input_audio_tokens",
    /// Of the input: images, and documents, which are read as images.
    input_image_tokens = "input_image_tokens",
    /// Of the input: video.
    input_video_tokens = "input_video_tokens",
    /// Of what was read from the cache: text.
    cache_text_read_tokens = "cache_text_read_tokens",
    /// Of what was read from the cache: audio.
    cache_audio_read_tokens = "cache_audio_read_tokens",
    /// Of what was read from the cache: images.
    cache_image_read_tokens = "cache_image_read_tokens",
    /// Of what was read from the cache: video.
    cache_video_read_tokens = "cache_video_read_tokens",
    /// Of the input: what the provider's own tools brought in.
    input_tool_tokens = "input_tool_tokens",
    /// Of those: text.
    input_text_tool_tokens = "input_text_tool_tokens",
    /// Of those: audio.
    input_audio_tool_tokens = "input_audio_tool_tokens",
    /// Of those: images.
    input_image_tool_tokens = "input_image_tool_tokens",
    /// Of those: video.
    input_video_tool_tokens = "input_video_tool_tokens",
    /// Of the output: text, where the provider tells kinds apart.
    output_text_tokens = "output_text_tokens",
    /// Of the output: audio.
    output_audio_tokens = "output_audio_tokens",
    /// Of the output: images.
    output_image_tokens = "output_image_tokens",
    /// Of the output: video.
    output_video_tokens = "output_video_tokens",
    /// Searches of the web that the provider ran.
    web_searches = "web_searches",
    /// Images that were billed one by one.
    images = "images",
    /// Seconds of audio that were billed by time.
    audio_seconds = "audio_seconds",
}
