//! The commands that end by themselves: `check`, `schema`, `keys new`, and `serve` that cannot.

use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{config, run, sha256_hex, tollgate};

#[test]
fn check_reports_each_of_ten_mistakes_where_it_stands_and_how_to_mend_it() {
    const FILE: &str = "tests/outside/ten-mistakes.yaml";
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(FILE))
        .expect("the fixture");
    let marked = text
        .lines()
        .enumerate()
        .filter_map(|(number, line)| Some((number + 1, line.split_once("# mistake: ")?.1)));
    let mistakes: Vec<(usize, &str)> = marked.collect();
    assert_eq!(mistakes.len(), 10);

    let mut command = tollgate(["check", FILE]);
    let output = command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("the binary runs");
    let printed = printed(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert_eq!(
        printed.lines().last(),
        Some("10 errors, 0 warnings"),
        "{printed}"
    );
    let reports = reports(&printed, FILE);
    let places: Vec<usize> = reports.iter().map(|report| report.line).collect();
    let expected: Vec<usize> = mistakes.iter().map(|(line, _)| *line).collect();
    assert_eq!(places, expected, "{printed}");
    for (report, (line, hint)) in reports.iter().zip(&mistakes) {
        let source = text.lines().nth(line - 1).expect("the line");
        assert!(
            (1..=source.chars().count()).contains(&report.column),
            "{printed}"
        );
        // What follows the field's name may be a secret.
        let field = source.trim().split_inclusive(':').next().expect("a field");
        assert!(
            report.text.contains(field),
            "the source line is shown: {}",
            report.text
        );
        let helps: Vec<&str> = report
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("help: "))
            .collect();
        assert!(
            helps.iter().any(|help| help.contains(hint)),
            "a fitting help: {}",
            report.text
        );
    }
}

#[test]
fn check_is_content_with_a_good_file_and_knows_wrong_usage() {
    let home = TempDir::new().expect("a temporary directory");
    let good = write(&home, "good.yaml", &good_config());
    let output = run(["check", good.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert_eq!(
        printed(&output).lines().last(),
        Some("0 errors, 0 warnings")
    );

    for wrong in [
        &["check"][..],
        &["check", "a", "b"],
        &["chekc", "a"],
        &["check", "--no-such-option", "a"],
    ] {
        assert_eq!(
            run(wrong.iter().copied()).status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
    let missing = home.path().join("missing.yaml");
    assert_eq!(
        run(["check", missing.to_str().expect("a plain path")])
            .status
            .code(),
        Some(1)
    );
}

#[test]
fn check_survives_files_that_are_no_configuration() {
    let home = TempDir::new().expect("a temporary directory");
    let deep = "[".repeat(100_000);
    let laughs = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, number| {
        let below = number - 1;
        text + &format!("a{number}: &a{number} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n")
    });
    let files: [(&str, &[u8]); 6] = [
        ("empty.yaml", b""),
        ("binary.yaml", &[0xFF, 0xFE, 0x00, 0x80]),
        ("unclosed.yaml", b"listen: [1, 2\nproviders: {"),
        ("scalar.yaml", b"just words"),
        ("deep.yaml", deep.as_bytes()),
        ("laughs.yaml", laughs.as_bytes()),
    ];
    for (name, content) in files {
        let path = home.path().join(name);
        std::fs::write(&path, content).expect("a file in the test's own directory");
        let output = run(["check", path.to_str().expect("a plain path")]);
        assert_eq!(
            output.status.code(),
            Some(1),
            "{name}: {}",
            printed(&output)
        );
        assert!(printed(&output).contains(name), "{}", printed(&output));
    }
}

#[test]
fn secrets_are_interpolated_and_never_printed() {
    let home = TempDir::new().expect("a temporary directory");
    let secret = home.path().join("secret");
    std::fs::write(&secret, "hush-from-a-file\n").expect("a file in the test's own directory");
    let yaml = good_config()
        .replace(
            "api_key: k",
            &format!("api_key: \"${{file:{}}}\"", secret.display()),
        )
        .replace("tollgate.test", "${TOLLGATE_TEST_HOST:-tollgate.test}");
    let path = write(&home, "interpolated.yaml", &yaml);
    let output = run(["check", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    let broken = yaml.replace("dialect: openai", "dialect: opnai");
    let path = write(&home, "broken.yaml", &broken);
    let output = tollgate(["check", path.to_str().expect("a plain path")])
        .env("TOLLGATE_TEST_HOST", "hush-from-the-environment")
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(!printed(&output).contains("hush"), "{}", printed(&output));
}

#[test]
fn the_schema_accepts_every_file_in_config_and_refuses_a_wrong_one() {
    let schema = schema();
    let validator = jsonschema::validator_for(&schema).expect("a JSON Schema");
    let mut files = Vec::new();
    collect_yaml(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("config"),
        &mut files,
    );
    assert!(
        !files.is_empty(),
        "config/ holds the embedded default at least"
    );
    for path in files {
        let text = std::fs::read_to_string(&path).expect("a readable file");
        let json: Value = serde_yaml::from_str(&text).expect("YAML");
        let errors: Vec<String> = validator
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{}: {errors:#?}", path.display());
    }
    let good: Value = serde_yaml::from_str(&good_config()).expect("YAML");
    assert!(validator.is_valid(&good));
    for (from, to) in [
        ("base_url", "base_ulr"),
        ("dialect: openai", "dialect: opnai"),
        ("listen: 127.0.0.1:0", "listen: []"),
        ("target: up/m", "target: 7"),
    ] {
        let wrong = good_config().replacen(from, to, 1);
        let wrong: Value = serde_yaml::from_str(&wrong).expect("YAML");
        assert!(!validator.is_valid(&wrong), "{to}");
    }
}

#[test]
fn keys_new_prints_a_key_that_scanners_know_and_a_line_that_check_accepts() {
    let output = run(["keys", "new", "--team", "search", "--name", "fresh"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let [key, line] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("two lines: {text}")
    };
    let body = key.strip_prefix("tg_").expect("the prefix");
    assert!(
        body.len() == 38 && body.chars().all(|c| c.is_ascii_alphanumeric()),
        "{key}"
    );
    let (random, check) = body.split_at(32);
    assert_eq!(
        check,
        base62_of_6(crc32fast::hash(random.as_bytes())),
        "{key}"
    );
    assert!(
        line.contains(&sha256_hex(key)) && !line.contains(key),
        "{line}"
    );

    let home = TempDir::new().expect("a temporary directory");
    let pasted = format!("{}      {}\n", good_config(), line.trim());
    let path = write(&home, "pasted.yaml", &pasted);
    let output = run(["check", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));

    let another = run(["keys", "new", "--team", "search", "--name", "fresh"]);
    assert_ne!(
        String::from_utf8_lossy(&another.stdout).lines().next(),
        Some(key)
    );
    assert_eq!(run(["keys", "new"]).status.code(), Some(2));
}

#[test]
fn serve_with_a_bad_file_or_a_taken_port_says_why_and_ends_with_1() {
    let home = TempDir::new().expect("a temporary directory");
    let bad = write(
        &home,
        "bad.yaml",
        &good_config().replace("base_url", "base_ulr"),
    );
    let output = run(["serve", "--config", bad.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !reports(&said, bad.to_str().expect("a plain path")).is_empty(),
        "{said}"
    );
    assert!(
        !String::from_utf8_lossy(&output.stdout).contains("listening"),
        "{}",
        printed(&output)
    );

    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("a bound socket").to_string();
    let yaml = good_config().replacen("127.0.0.1:0", &address, 1);
    let path = write(&home, "taken.yaml", &yaml);
    let output = run(["serve", "--config", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains(&address),
        "{}",
        printed(&output)
    );
}

#[test]
fn the_demo_key_is_accepted_by_no_other_file() {
    let home = TempDir::new().expect("a temporary directory");
    let digest = sha256_hex("tg_demo");
    let yaml = format!(
        "{}      - {{ name: demo, sha256: \"{digest}\" }}\n",
        good_config()
    );
    let path = write(&home, "demo-key.yaml", &yaml);
    let output = run(["check", path.to_str().expect("a plain path")]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
}

/// One diagnostic: where, and all its lines.
struct Report {
    line: usize,
    column: usize,
    text: String,
}

/// The errors in their documented form: `FILE:LINE:COL: error: message` and what follows.
fn reports(printed: &str, file: &str) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for line in printed.lines() {
        let place = line
            .strip_prefix(file)
            .and_then(|rest| rest.strip_prefix(':'))
            .and_then(|rest| {
                let mut parts = rest.splitn(3, ':');
                let (line, column) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
                parts
                    .next()?
                    .starts_with(" error: ")
                    .then_some((line, column))
            });
        if let Some((number, column)) = place {
            reports.push(Report {
                line: number,
                column,
                text: line.to_owned(),
            });
        } else if let Some(report) = reports.last_mut() {
            report.text += &format!("\n{line}");
        }
    }
    reports
}

fn good_config() -> String {
    config(
        "providers:\n  up: { dialect: openai, base_url: \"https://tollgate.test/v1\", api_key: k }\nmodels:\n  fast: { target: up/m }",
    )
}

fn schema() -> Value {
    let output = run(["schema"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Six digits of base 62, the most significant first.
fn base62_of_6(mut number: u32) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [0; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

fn write(home: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = home.path().join(name);
    std::fs::write(&path, text).expect("a file in the test's own directory");
    path
}

fn printed(output: &Output) -> String {
    [
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    ]
    .concat()
}

fn collect_yaml(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a readable directory") {
        let path = entry.expect("a readable directory").path();
        if path.is_dir() {
            collect_yaml(&path, files);
        } else if path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml")
        {
            files.push(path);
        }
    }
}
