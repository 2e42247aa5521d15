//! Messages as they are written.

use std::borrow::Cow;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::content::CachePoint;
use super::turns::FILLER;
use crate::dialect::bedrock::block::Block;
use crate::dialect::common::Cache;

/// A message of the conversation.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub role: &'static str,
    pub content: Items<'a>,
}

impl Message<'_> {
    /// Results come first, and a document has a text beside it.
    pub fn complete(&mut self) {
        let items = &mut self.content.0;
        // The sort is stable.
        items.sort_by_key(|item| !matches!(item.block, Block::ToolResult(_)));
        let has = |is: fn(&Block<'_>) -> bool| items.iter().any(|item| is(&item.block));
        let is_text = |block: &Block<'_>| matches!(block, Block::Text(_));
        if has(|block| matches!(block, Block::Document(_))) && !has(is_text) {
            items.push(Block::text(FILLER).into());
        }
    }

    /// A Claude refuses an answer to go on from that ends in white space; see Anthropic's `Turns`.
    pub fn trim_end(&mut self) {
        let last = self
            .content
            .0
            .last_mut()
            .filter(|_| self.role == "assistant");
        if let Some(Block::Text(text)) = last.map(|item| &mut item.block)
            && text.ends_with(char::is_whitespace)
        {
            *text = Cow::Owned(text.trim_end().to_owned());
        }
    }
}

/// Blocks, and marks for the cache behind them.
#[derive(Debug, Default)]
pub(super) struct Items<'a>(pub Vec<Item<'a>>);

/// A block, and the mark behind it.
#[derive(Debug)]
pub(super) struct Item<'a> {
    pub block: Block<'a>,
    pub cache: Option<Cache>,
}

impl<'a> From<Block<'a>> for Item<'a> {
    fn from(block: Block<'a>) -> Self {
        Self { block, cache: None }
    }
}

impl Items<'_> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Marks the last block that may be marked.
    pub fn mark_last(&mut self) {
        let is_markable = |item: &&mut Item<'_>| !matches!(item.block, Block::ReasoningContent(_));
        if let Some(item) = self.0.iter_mut().rev().find(is_markable) {
            item.cache = Some(Cache::Usual);
        }
    }
}

impl Serialize for Items<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        enum Mark {
            CachePoint(CachePoint<'static>),
        }
        let mut list = serializer.serialize_seq(None)?;
        for item in &self.0 {
            list.serialize_element(&item.block)?;
            if let Some(cache) = item.cache {
                list.serialize_element(&Mark::CachePoint(cache.into()))?;
            }
        }
        list.end()
    }
}
