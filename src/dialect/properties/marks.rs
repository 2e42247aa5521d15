//! Marks in all that a request says, so that it can be found again wherever it has been written.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::dialect::Dialect;
use crate::dialect::common::{
    Content, Dropped, Feature, Format, Json, Request, Role, Source, Tool, ToolChoice,
};

/// Something in a request that can be found again, and whose loss what is said to excuse.
pub struct Mark {
    /// What is looked for.
    pub text: String,
    /// The features whose loss would take it along.
    pub excuses: Vec<Feature>,
    /// The name of what is known to one dialect alone.
    pub name: Option<String>,
}

/// Puts marks into all that a request says.
#[derive(Default)]
pub struct Marks {
    /// All of them, in the order of the request.
    pub list: Vec<Mark>,
}

impl Marks {
    /// Puts them in.
    pub fn of(request: &mut Request) -> Self {
        let mut marks = Self::default();
        for turn in &mut request.turns {
            // Of a model that says nothing which can be sent, there is no turn.
            if let Some(name) = turn.name.as_mut().filter(|_| turn.role == Role::User) {
                marks.put(name, &[Feature::SpeakerName]);
            }
            for part in &mut turn.parts {
                marks.part(&mut part.content, &[]);
            }
        }
        marks.tools(request);
        for (name, json) in &mut request.extra {
            marks.own(json, name, "");
        }
        if let Format::Schema {
            description,
            schema,
            ..
        } = &mut request.format
        {
            let excuses = &[Feature::JsonSchema];
            description
                .iter_mut()
                .for_each(|text| marks.put(text, excuses));
            marks.json(schema, excuses);
        }
        if let Some(user) = &mut request.user {
            marks.put(user, &[Feature::User]);
        }
        for stop in &mut request.stop {
            marks.put(stop, &[Feature::Stop]);
        }
        marks
    }

    fn next(&mut self, excuses: &[Feature]) -> String {
        // Six bytes, which are eight characters of base64.
        let text = format!("q{:04}z", self.list.len());
        self.list.push(Mark {
            text: text.clone(),
            excuses: excuses.to_vec(),
            name: None,
        });
        text
    }

    fn put(&mut self, text: &mut String, excuses: &[Feature]) {
        text.insert_str(0, &self.next(excuses));
    }

    fn json(&mut self, json: &mut Json, excuses: &[Feature]) {
        let mark = self.next(excuses);
        let members = json.as_str()[1..].trim_start();
        let comma = if members == "}" { "" } else { "," };
        *json = Json::parse(&format!(r#"{{"mark":"{mark}"{comma}{members}"#)).expect("an object");
    }

    fn own(&mut self, json: &mut Json, kind: &mut String, lead: &str) {
        self.json(json, &[]);
        let place = self.list.len() - 1;
        let mark = &mut self.list[place];
        kind.push_str(&mark.text);
        mark.name = Some([lead, kind].concat());
    }

    fn tools(&mut self, request: &mut Request) {
        // Where some functions alone may be called, some targets are shown no others.
        let is_shown = |choice: &Option<ToolChoice>, name: &str| match choice {
            None | Some(ToolChoice::Auto | ToolChoice::Required) => true,
            Some(ToolChoice::None) => false,
            Some(ToolChoice::Named(named)) => named == name,
            Some(ToolChoice::Allowed { names, .. }) => names.iter().any(|one| one == name),
        };
        for tool in &mut request.tools {
            match tool {
                Tool::Function(function) => {
                    if !is_shown(&request.tool_choice, &function.name) {
                        continue;
                    }
                    let excuses = &[Feature::Tools];
                    if let Some(text) = &mut function.description {
                        self.put(text, excuses);
                    }
                    if let Some(schema) = &mut function.parameters {
                        self.json(schema, excuses);
                    }
                }
                Tool::Hosted { kind, json, .. } if request.tool_choice.is_none() => {
                    self.own(json, kind, "tools.");
                }
                Tool::Hosted { .. } => {}
            }
        }
    }

    /// `around` excuses the loss of media, beside their own features.
    fn part(&mut self, content: &mut Content, around: &[Feature]) {
        use Feature as F;
        let with = |features: &[Feature]| [features, around].concat();
        match content {
            Content::Text { text, citations } => {
                self.put(text, &[]);
                for citation in citations {
                    let mut title = citation.title.take().unwrap_or_default();
                    self.put(&mut title, &[F::Citations]);
                    let json = citation
                        .json
                        .as_str()
                        .replace("source\"", &format!("{title}\""));
                    citation.json = Json::parse(&json).expect("a citation");
                    citation.title = Some(title);
                }
            }
            Content::Refusal(text) => self.put(text, &[F::Refusal]),
            Content::Image { source, .. } => {
                self.source(source, &with(&[F::ImageUrl, F::ImageData]));
            }
            Content::Document { source, name, .. } => {
                let features = with(&[F::DocumentUrl, F::DocumentData, F::DocumentText]);
                self.source(source, &features);
                // What lies elsewhere has its name there.
                let has_name = matches!(source, Source::Base64 { .. } | Source::Text(_));
                if let Some(name) = name.as_mut().filter(|_| has_name) {
                    self.put(name, &features);
                }
            }
            Content::Audio { source } => self.source(source, &with(&[F::Audio])),
            Content::Video { source } => self.source(source, &with(&[F::Video])),
            Content::ToolCall {
                arguments,
                signature,
                ..
            } => {
                let mut json = Json::parse(arguments).expect("arguments");
                self.json(&mut json, &[]);
                json.as_str().clone_into(arguments);
                if let Some(seal) = signature {
                    self.base64(&mut seal.value, &[F::Signature]);
                }
            }
            Content::ToolResult { parts, .. } => {
                for part in parts {
                    self.part(&mut part.content, &[F::ToolResultMedia]);
                }
            }
            Content::Thinking(thinking) => {
                if !thinking.text.is_empty() {
                    self.put(&mut thinking.text, &[F::Thinking]);
                }
                if let Some(seal) = &mut thinking.signature {
                    // A seal goes with its thought.
                    self.base64(&mut seal.value, &[F::Signature, F::Thinking]);
                }
            }
            Content::Opaque { kind, json, .. } => self.own(json, kind, ""),
        }
    }

    fn source(&mut self, source: &mut Source, excuses: &[Feature]) {
        match source {
            Source::Base64 { data, .. } => self.base64(data, excuses),
            Source::Url { url, .. } => {
                let mark = self.next(excuses);
                *url = url.replace("example.com/", &format!("example.com/{mark}"));
            }
            Source::File { id, .. } => self.put(id, &[excuses, &[Feature::UploadedFile]].concat()),
            Source::Text(text) => self.put(text, excuses),
        }
    }

    fn base64(&mut self, data: &mut String, excuses: &[Feature]) {
        let mark = BASE64_STANDARD.encode(self.next(excuses));
        data.insert_str(0, &mark);
    }
}

impl Mark {
    /// Whether it is there, in clear, in base64, or in base64 of that.
    pub fn is_in(&self, text: &str) -> bool {
        let once = BASE64_STANDARD.encode(&self.text);
        let twice = BASE64_STANDARD.encode(&once);
        [&self.text, &once, twice.trim_end_matches('=')]
            .iter()
            .any(|form| text.contains(*form))
    }

    /// Whether its loss has been told.
    pub fn is_told(&self, dropped: &Dropped, source: Dialect) -> bool {
        dropped.names().any(|name| {
            let is_feature = self
                .excuses
                .iter()
                .any(|feature| feature.field(source) == name);
            is_feature || self.name.as_deref() == Some(name)
        })
    }
}
