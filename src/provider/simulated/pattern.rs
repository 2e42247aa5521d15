//! Strings that match a regular expression, of the kind that stands in JSON schemas: literals, classes, groups,
//! alternatives and repetition. What is not understood (look-around, back references) yields nothing.

use std::iter::Peekable;
use std::str::Chars;

use super::seed::Seed;

/// Most characters and repetitions in a string that is made.
const LENGTH_MAX: usize = 8192;
/// Longest pattern that is read, in bytes.
const PATTERN_MAX: usize = 4096;
/// Deepest nesting of groups.
const DEPTH_MAX: usize = 16;
/// Repetitions that are added at most where the pattern sets no upper limit.
const EXTRA: usize = 4;

/// A string that matches `pattern`; `None` if it is not understood.
pub(super) fn matching(pattern: &str, seed: &mut Seed) -> Option<String> {
    if pattern.len() > PATTERN_MAX {
        return None;
    }
    let mut rest = pattern.chars().peekable();
    let tree = alternatives(&mut rest, 0)?;
    if rest.next().is_some() {
        return None;
    }
    let mut text = String::new();
    let mut left = LENGTH_MAX;
    tree.write(&mut text, &mut left, seed)?;
    Some(text)
}

enum Node {
    Any(Vec<Node>),
    All(Vec<Node>),
    Repeat(Box<Node>, usize, usize),
    Class(Vec<(char, char)>),
}

type Rest<'a> = Peekable<Chars<'a>>;

fn alternatives(rest: &mut Rest<'_>, depth: usize) -> Option<Node> {
    if depth > DEPTH_MAX {
        return None;
    }
    let mut branches = vec![sequence(rest, depth)?];
    while rest.next_if_eq(&'|').is_some() {
        branches.push(sequence(rest, depth)?);
    }
    Some(Node::Any(branches))
}

fn sequence(rest: &mut Rest<'_>, depth: usize) -> Option<Node> {
    let mut nodes = Vec::new();
    while let Some(&next) = rest.peek() {
        if matches!(next, '|' | ')') {
            break;
        }
        rest.next();
        let node = match next {
            '^' | '$' => continue,
            '(' => {
                if rest.next_if_eq(&'?').is_some() {
                    rest.next_if_eq(&':')?;
                }
                let group = alternatives(rest, depth + 1)?;
                rest.next_if_eq(&')')?;
                group
            }
            '[' => Node::Class(class(rest)?),
            '.' => Node::Class(vec![('a', 'z')]),
            '\\' => Node::Class(escape(rest.next()?)?),
            '*' | '+' | '?' => return None,
            literal => Node::Class(vec![(literal, literal)]),
        };
        nodes.push(repeated(node, rest)?);
    }
    Some(Node::All(nodes))
}

fn repeated(node: Node, rest: &mut Rest<'_>) -> Option<Node> {
    let (least, most) = match rest.peek() {
        Some('*') => (0, EXTRA),
        Some('+') => (1, 1 + EXTRA),
        Some('?') => (0, 1),
        Some('{') => {
            rest.next();
            let mut counts = String::new();
            while let Some(next) = rest.next_if(|next| next.is_ascii_digit() || *next == ',') {
                counts.push(next);
            }
            if rest.peek() != Some(&'}') {
                return None;
            }
            match counts.split_once(',') {
                None => {
                    let count = counts.parse().ok()?;
                    (count, count)
                }
                Some((least, "")) => {
                    let least: usize = least.parse().ok()?;
                    (least, least.saturating_add(EXTRA))
                }
                Some((least, most)) => (least.parse().ok()?, most.parse().ok()?),
            }
        }
        _ => return Some(node),
    };
    rest.next();
    rest.next_if_eq(&'?'); // a lazy repetition matches the same strings
    (least <= most).then(|| Node::Repeat(Box::new(node), least, most))
}

fn class(rest: &mut Rest<'_>) -> Option<Vec<(char, char)>> {
    let negated = rest.next_if_eq(&'^').is_some();
    let mut ranges = Vec::new();
    loop {
        let next = match rest.next()? {
            ']' if !ranges.is_empty() => break,
            '\\' => {
                let escaped = escape(rest.next()?)?;
                match escaped[..] {
                    [(one, same)] if one == same => one,
                    _ => {
                        ranges.extend(escaped);
                        continue;
                    }
                }
            }
            other => other,
        };
        let mut ahead = rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|end| end != ']');
        if !is_range {
            ranges.push((next, next));
            continue;
        }
        rest.next();
        let end = match rest.next()? {
            '\\' => rest.next()?,
            end => end,
        };
        if end < next {
            return None;
        }
        ranges.push((next, end));
    }
    if !negated {
        return Some(ranges);
    }
    let is_outside = |one: &char| !ranges.iter().any(|(from, to)| (*from..=*to).contains(one));
    let outside = ('a'..='z')
        .chain('0'..='9')
        .chain(' '..='/')
        .filter(is_outside);
    let outside: Vec<(char, char)> = outside.map(|one| (one, one)).collect();
    (!outside.is_empty()).then_some(outside)
}

fn escape(letter: char) -> Option<Vec<(char, char)>> {
    Some(match letter {
        'd' => vec![('0', '9')],
        'w' => vec![('a', 'z'), ('A', 'Z'), ('0', '9'), ('_', '_')],
        's' => vec![(' ', ' ')],
        'D' | 'S' => vec![('a', 'z')],
        'W' => vec![('-', '-')],
        'n' => vec![('\n', '\n')],
        't' => vec![('\t', '\t')],
        letter if letter.is_alphanumeric() => return None,
        sign => vec![(sign, sign)],
    })
}

impl Node {
    /// Appends a match; `None` once `left` characters are written.
    fn write(&self, text: &mut String, left: &mut usize, seed: &mut Seed) -> Option<()> {
        match self {
            Self::Any(branches) => branches[seed.below(branches.len())].write(text, left, seed),
            Self::All(nodes) => nodes
                .iter()
                .try_for_each(|node| node.write(text, left, seed)),
            Self::Repeat(node, least, most) => {
                let extra = seed.below((most - least).min(EXTRA) + 1);
                for _ in 0..least.saturating_add(extra) {
                    // Also a repetition of nothing uses up what is left.
                    *left = left.checked_sub(1)?;
                    node.write(text, left, seed)?;
                }
                Some(())
            }
            Self::Class(ranges) => {
                *left = left.checked_sub(1)?;
                let (from, to) = ranges[seed.below(ranges.len())];
                let span = u32::from(to) - u32::from(from);
                let chosen = u32::from(from) + seed.below(span as usize + 1) as u32;
                text.push(char::from_u32(chosen).unwrap_or(from));
                Some(())
            }
        }
    }
}
