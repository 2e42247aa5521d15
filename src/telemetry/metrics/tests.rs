use super::*;

#[test]
fn requests_are_counted_by_status() {
    let metrics = Metrics::new();
    let series = metrics.series("search", "fast", "openai/gpt");
    metrics.request(&series, 200, 0.2);
    metrics.request(&series, 429, 0.1);
    let text = String::from_utf8(metrics.render()).unwrap();
    for line in [
        r#"tollgate_requests_total{model="fast",status="200",target="openai/gpt",team="search"} 1"#,
        r#"tollgate_requests_total{model="fast",status="429",target="openai/gpt",team="search"} 1"#,
        r#"tollgate_request_duration_seconds_count{model="fast",target="openai/gpt"} 2"#,
        "tollgate_config_last_reload_successful 1",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
}

#[test]
fn the_process_knows_its_size() {
    assert!(resident_bytes().unwrap() > 1_000_000);
}
