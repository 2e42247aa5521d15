//! Embeddings.

use serde_json::json;

use super::*;

#[test]
fn embeddings_have_length_one_and_are_near_where_texts_share_words() {
    let inputs = json!([
        "How do I reset my password?",
        "I forgot my password, how can I reset it?",
        "The best pasta in Rome"
    ]);
    let (_, body) = whole(Endpoint::Embeddings, "m", &json!({"input": inputs}));
    let vectors: Vec<Vec<f64>> = (0..3)
        .map(|index| serde_json::from_value(body["data"][index]["embedding"].clone()).unwrap())
        .collect();
    let dot = |a: usize, b: usize| -> f64 {
        vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum()
    };
    assert_eq!(vectors[0].len(), 1536);
    assert!((dot(0, 0) - 1.0).abs() < 1e-4);
    assert!(dot(0, 1) > 0.5, "{}", dot(0, 1));
    assert!(dot(0, 2) < 0.3, "{}", dot(0, 2));
    assert!(body["usage"]["total_tokens"].is_u64());
}

#[test]
fn base64_embeddings_hold_the_same_numbers() {
    use base64::Engine as _;
    for dimensions in [1, 2, 3, 4, 255, 4096] {
        let request = json!({"input": "hello there", "dimensions": dimensions});
        let (_, floats) = whole(Endpoint::Embeddings, "m", &request);
        let (_, coded) = whole(
            Endpoint::Embeddings,
            "m",
            &with(request, &json!({"encoding_format": "base64"})),
        );
        let floats: Vec<f32> =
            serde_json::from_value(floats["data"][0]["embedding"].clone()).unwrap();
        let bytes = base64::prelude::BASE64_STANDARD
            .decode(coded["data"][0]["embedding"].as_str().unwrap())
            .unwrap();
        let numbers: Vec<f32> = bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| f32::from_le_bytes(*four))
            .collect();
        assert_eq!(numbers.len(), dimensions);
        assert_eq!(numbers, floats);
    }
}

#[test]
fn embeddings_take_every_kind_of_input_and_many() {
    let kinds = [
        (json!("a b"), 1),
        (json!(["a", "b"]), 2),
        (json!([1, 2, 3]), 1),
        (json!([[1], [2, 3]]), 2),
        (json!(vec!["x"; 2048]), 2048),
    ];
    for (input, count) in kinds {
        let (script, body) = whole(
            Endpoint::Embeddings,
            "m",
            &json!({"input": input, "dimensions": 64}),
        );
        assert_eq!(script.status, 200);
        assert_eq!(body["data"].as_array().map(Vec::len), Some(count));
        assert_eq!(body["data"][count - 1]["index"], count - 1);
    }
    for (bad, param) in [
        (json!({"input": []}), "input"),
        (json!({"input": ""}), "input"),
        (json!({"input": vec!["x"; 2049]}), "input"),
        (json!({}), "input"),
        (json!({"input": "x", "dimensions": 4097}), "dimensions"),
        (
            json!({"input": "x", "encoding_format": "hex"}),
            "encoding_format",
        ),
    ] {
        let (script, body) = whole(Endpoint::Embeddings, "m", &bad);
        assert_eq!(
            (script.status, &body["error"]["param"]),
            (400, &json!(param)),
            "{bad}"
        );
    }
}
