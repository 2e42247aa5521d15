//! The list of models, in the shape of `GET /v1/models`.

use bytes::Bytes;
use serde::Serialize;

/// The list, on one page.
pub fn model_list<'a>(names: impl Iterator<Item = &'a str>) -> Bytes {
    #[derive(Serialize)]
    struct List<'a> {
        data: Vec<Model<'a>>,
        has_more: bool,
        first_id: Option<&'a str>,
        last_id: Option<&'a str>,
    }
    let data: Vec<_> = names.map(Model::named).collect();
    let list = List {
        has_more: false,
        first_id: data.first().map(|model| model.id),
        last_id: data.last().map(|model| model.id),
        data,
    };
    Bytes::from(serde_json::to_vec(&list).unwrap_or_default())
}

/// One model.
pub fn model(name: &str) -> Bytes {
    Bytes::from(serde_json::to_vec(&Model::named(name)).unwrap_or_default())
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: &'static str,
}

impl<'a> Model<'a> {
    const fn named(name: &'a str) -> Self {
        Self {
            r#type: "model",
            id: name,
            display_name: name,
            // The SDKs' types require it; a name in a gateway has no date of its own.
            created_at: "1970-01-01T00:00:00Z",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_names_its_ends() {
        assert_eq!(
            model_list(["a", "b"].into_iter()),
            r#"{"data":[{"type":"model","id":"a","display_name":"a","created_at":"1970-01-01T00:00:00Z"},{"type":"model","id":"b","display_name":"b","created_at":"1970-01-01T00:00:00Z"}],"has_more":false,"first_id":"a","last_id":"b"}"#
        );
        assert_eq!(
            model_list(std::iter::empty()),
            r#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#
        );
    }
}
