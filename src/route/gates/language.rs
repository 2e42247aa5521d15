//! `wrong_language`: the user wrote in one language and is answered in another.
//!
//! It says so only where both are beyond doubt: scripts first, and within the Latin one the eight languages that most
//! requests are in, by the words that no text of theirs does without.

use super::Outcome;
use super::look::{Look, first};
use crate::dialect::common::{Content, Format, Part, Request, Role};

/// How much of each text is looked at, in bytes.
const READ_MAX: usize = 8 << 10;

/// The most turns of users, and of those who instruct the model, that may wish for a language.
const TURNS_MAX: usize = 8;

/// A longer turn of a user's holds a document, in whatever language, in bytes.
const TURN_MAX: usize = 4 << 10;

/// The fewest letters that tell a script.
const LETTERS_MIN: usize = 40;

/// The same of scripts that write a syllable or a word with a letter.
const SYLLABLES_MIN: usize = 12;

/// The share of a text's letters that must be of its script, and that another language may have in the user's turn.
const MAIN_SHARE: f64 = 0.8;
const FOREIGN_SHARE: f64 = 0.1;

/// The fewest words that tell a language by its stop words, the share of them that must be its own, and how many times as
/// many as of any other.
const WORDS_MIN: usize = 12;
const STOP_SHARE: f64 = 0.2;
const MARGIN: usize = 3;

/// What a text is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tongue {
    Latin(&'static str),
    Script(Script),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Script {
    Latin,
    Greek,
    Cyrillic,
    Hebrew,
    Arabic,
    Devanagari,
    Thai,
    Chinese,
    Japanese,
    Korean,
}

pub(super) fn judge(look: &Look<'_>, request: &Request) -> Outcome {
    if !look.calls.is_empty() || request.format != Format::Text || asks_for_language(request) {
        return Outcome::Unknown;
    }
    let asked = last_turn(request);
    if asked.len() > TURN_MAX || quotes(asked.trim()) {
        return Outcome::Unknown;
    }
    let (asked, said) = (prose(&asked), prose(first(&look.text, READ_MAX)));
    let (Some(question), Some(answer)) = (tongue(&asked), tongue(&said)) else {
        return Outcome::Unknown;
    };
    let is_used = || turns_before(request).any(|turn| tongue(&prose(&turn)) == Some(answer));
    Outcome::fired_if(question != answer && !is_present(answer, &asked) && !is_used())
}

/// Whether the request names a language or a translation: then which one is right is not for us to say.
fn asks_for_language(request: &Request) -> bool {
    let turns = || request.turns.iter();
    let of_users = turns().rev().filter(|turn| turn.role == Role::User);
    let of_others = turns().filter(|turn| matches!(turn.role, Role::System | Role::Developer));
    let mut wishes = of_users.take(TURNS_MAX).chain(of_others.take(TURNS_MAX));
    wishes.any(|turn| {
        let text = text_of(&turn.parts).to_lowercase();
        // What is not read may hold the wish.
        text.len() > READ_MAX || NAMING.iter().any(|name| text.contains(name))
    })
}

/// Whether a turn looks like words about a text that stands in it, which may be in another language than the words.
fn quotes(turn: &str) -> bool {
    turn.contains(['\n', ':', '：', '"', '“', '„', '«', '「', '『', '《'])
}

fn last_turn(request: &Request) -> String {
    let users = request.turns.iter().rev();
    let texts = users.filter(|turn| turn.role == Role::User);
    let mut texts = texts.map(|turn| text_of(&turn.parts));
    texts
        .find(|text| !text.trim().is_empty())
        .unwrap_or_default()
}

/// The model's turns: a language that it was not stopped from using is not wrong now.
fn turns_before(request: &Request) -> impl Iterator<Item = String> {
    let turns = request.turns.iter().rev();
    let own = turns.filter(|turn| turn.role == Role::Assistant);
    own.take(2).map(|turn| text_of(&turn.parts))
}

/// The beginning of what is said.
fn text_of(parts: &[Part]) -> String {
    let mut said = String::new();
    for part in parts {
        if let Content::Text { text, .. } = &part.content {
            said.push_str(first(text, READ_MAX.saturating_sub(said.len())));
            said.push('\n');
        }
    }
    said
}

/// A text without its code and links, in lower case.
fn prose(text: &str) -> String {
    let mut prose = String::new();
    for (index, block) in first(text, READ_MAX).split("```").enumerate() {
        let is_code = |index: usize| index % 2 == 1;
        if is_code(index) {
            continue;
        }
        for (index, span) in block.split('`').enumerate() {
            let words = span.split_whitespace().filter(|_| !is_code(index));
            for word in words.filter(|word| !word.contains("://")) {
                prose.push_str(&word.to_lowercase());
                prose.push(' ');
            }
        }
    }
    prose
}

fn tongue(prose: &str) -> Option<Tongue> {
    match script_of(prose)? {
        Script::Latin => language_of(prose).map(Tongue::Latin),
        script => Some(Tongue::Script(script)),
    }
}

/// The script that a text is nearly all in, if it is long enough.
fn script_of(prose: &str) -> Option<Script> {
    let mut counts = [(Script::Latin, 0); 10];
    let mut all = 0;
    for script in prose.chars().filter_map(script) {
        all += 1;
        let place = &mut counts[script as usize];
        *place = (script, place.1 + 1);
    }
    // Chinese letters are Japanese where there are kana.
    let kana = counts[Script::Japanese as usize].1;
    if kana * 10 > counts[Script::Chinese as usize].1 {
        counts[Script::Japanese as usize].1 +=
            std::mem::take(&mut counts[Script::Chinese as usize].1);
    }
    let (script, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
    let least = match script {
        Script::Chinese | Script::Japanese | Script::Korean => SYLLABLES_MIN,
        _ => LETTERS_MIN,
    };
    (count >= least && count as f64 >= MAIN_SHARE * all as f64).then_some(script)
}

/// Whether a language stands in a text of another one, as a quotation does.
fn is_present(tongue: Tongue, prose: &str) -> bool {
    match tongue {
        Tongue::Latin(language) => {
            let own = STOP_WORDS.iter().find(|(name, _)| *name == language);
            let words: Vec<_> = words(prose).collect();
            let is_own = |word: &&&str| own.is_some_and(|(_, list)| list.contains(word));
            let count = words.iter().filter(is_own).count();
            let latin = prose
                .chars()
                .filter(|char| script(*char) == Some(Script::Latin));
            let all = prose.chars().filter(|char| char.is_alphabetic()).count();
            let is_latin = latin.count() as f64 > MAIN_SHARE * all as f64;
            count as f64 > FOREIGN_SHARE * words.len() as f64 || (!is_latin && count > 0)
        }
        // Japanese is written with Chinese letters, which are no Chinese.
        Tongue::Script(Script::Chinese) if script_of(prose) == Some(Script::Japanese) => false,
        Tongue::Script(wanted) => {
            let scripts: Vec<_> = prose.chars().filter_map(script).collect();
            let count = scripts.iter().filter(|script| **script == wanted).count();
            count as f64 > FOREIGN_SHARE * scripts.len() as f64
        }
    }
}

/// The language whose stop words are many, and many more than any other's.
fn language_of(prose: &str) -> Option<&'static str> {
    let words: Vec<_> = words(prose).collect();
    if words.len() < WORDS_MIN {
        return None;
    }
    let mut counts = STOP_WORDS.map(|(language, list)| {
        let count = words.iter().filter(|word| list.contains(word)).count();
        (count, language)
    });
    counts.sort_unstable();
    let [.., (second, _), (best, language)] = counts;
    let is_clear = best >= MARGIN * second.max(1) && best as f64 >= STOP_SHARE * words.len() as f64;
    is_clear.then_some(language)
}

fn words(prose: &str) -> impl Iterator<Item = &str> {
    let words = prose.split(|char: char| !char.is_alphanumeric());
    words.filter(|word| !word.is_empty())
}

fn script(char: char) -> Option<Script> {
    match char {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => {
            Some(Script::Latin)
        }
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(Script::Greek),
        '\u{400}'..='\u{52f}' => Some(Script::Cyrillic),
        '\u{590}'..='\u{5ff}' => Some(Script::Hebrew),
        '\u{600}'..='\u{6ff}' | '\u{750}'..='\u{77f}' => Some(Script::Arabic),
        '\u{900}'..='\u{97f}' => Some(Script::Devanagari),
        '\u{e00}'..='\u{e7f}' => Some(Script::Thai),
        '\u{3040}'..='\u{30ff}' => Some(Script::Japanese),
        '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' => Some(Script::Chinese),
        '\u{1100}'..='\u{11ff}' | '\u{ac00}'..='\u{d7af}' => Some(Script::Korean),
        _ => None,
    }
}

/// Words that a language's texts cannot do without and that the others have not, in lower case.
const STOP_WORDS: [(&str, &[&str]); 8] = [
    (
        "English",
        &[
            "the", "and", "of", "to", "is", "that", "it", "you", "for", "are", "with", "this",
            "what", "how", "from", "have", "which", "be", "by", "your", "can", "not", "or",
            "there", "would", "they", "their", "please", "my", "about", "will", "has", "its",
            "should", "when", "these", "was", "we", "been", "but", "any", "our",
        ],
    ),
    (
        "German",
        &[
            "der", "die", "und", "ist", "nicht", "ein", "eine", "mit", "für", "auf", "den", "dem",
            "von", "zu", "sich", "wie", "auch", "wird", "sind", "werden", "bei", "oder", "einen",
            "einer", "sie", "kann", "als", "aus", "über", "nach", "mir", "bitte", "im", "durch",
            "wurde", "haben", "zum", "zur",
        ],
    ),
    (
        "French",
        &[
            "le", "les", "et", "est", "des", "dans", "pour", "qui", "sur", "pas", "du", "vous",
            "je", "sont", "avec", "au", "nous", "plus", "cette", "être", "aux", "elle", "ces",
            "peut", "votre", "comment", "quelle", "quel", "moi", "leur", "ont", "cet", "fait",
            "aussi",
        ],
    ),
    (
        "Spanish",
        &[
            "el", "los", "las", "y", "por", "es", "más", "su", "pero", "sus", "al", "esta", "este",
            "son", "puede", "cómo", "qué", "cuál", "está", "muy", "también", "hay", "sobre",
            "tiene", "fue", "desde", "cuando", "han", "esto", "hasta", "porque",
        ],
    ),
    (
        "Italian",
        &[
            "di", "che", "è", "gli", "della", "per", "sono", "con", "non", "nel", "dei", "delle",
            "alla", "si", "più", "anche", "questo", "questa", "come", "ma", "ed", "dal", "degli",
            "ai", "nella", "essere", "può", "cosa", "quale", "dell", "sul", "nei", "ha",
        ],
    ),
    (
        "Portuguese",
        &[
            "os", "não", "uma", "um", "com", "do", "da", "dos", "é", "em", "no", "na", "são", "ao",
            "foi", "ou", "seu", "sua", "você", "pode", "também", "pelo", "pela", "isso", "à",
            "entre", "quando", "muito", "mas", "eu",
        ],
    ),
    (
        "Dutch",
        &[
            "het", "een", "en", "van", "ik", "te", "dat", "niet", "zijn", "op", "aan", "met",
            "voor", "er", "maar", "om", "hem", "dan", "zou", "wat", "mijn", "deze", "worden",
            "wordt", "naar", "kan", "bij", "ook", "door", "hoe", "uit", "heeft", "wij", "zich",
            "nog", "dit",
        ],
    ),
    (
        "Polish",
        &[
            "i", "w", "nie", "się", "z", "jest", "że", "jak", "dla", "po", "ale", "od", "są",
            "przez", "oraz", "może", "który", "która", "które", "jego", "jej", "ze", "lub", "czy",
            "można", "być", "jako", "przy", "tym", "już", "tak", "jednak", "także",
        ],
    ),
];

/// What a request says that has a wish about languages: parts of words, in lower case.
const NAMING: [&str; 62] = [
    "translat",
    "language",
    "english",
    "german",
    "french",
    "spanish",
    "italian",
    "portuguese",
    "dutch",
    "polish",
    "russian",
    "chinese",
    "mandarin",
    "japanese",
    "korean",
    "arabic",
    "hebrew",
    "hindi",
    "greek",
    "thai",
    "ukrain",
    "turkish",
    "latin",
    "übersetz",
    "sprache",
    "englisch",
    "deutsch",
    "französisch",
    "spanisch",
    "tradui",
    "traduc",
    "langue",
    "anglais",
    "français",
    "allemand",
    "espagnol",
    "tradu",
    "idioma",
    "inglés",
    "inglês",
    "español",
    "lingua",
    "inglese",
    "italiano",
    "língua",
    "vertal",
    "taal",
    "engels",
    "tłumacz",
    "język",
    "angielsk",
    "перев",
    "язык",
    "англ",
    "翻译",
    "翻譯",
    "语",
    "文で",
    "訳",
    "語",
    "번역",
    "영어",
];
