//! `repetition`: loops are found, and what only repeats itself is not.

use super::*;

fn stuck(text: &str) -> bool {
    said("repetition", text) == Outcome::Fired
}

#[test]
fn a_model_that_is_stuck_is_found() {
    let lead = "The answer has several parts, which are described below.\n";
    let loops = [
        "I will now check the file again.\n".repeat(12),
        "and then ".repeat(60),
        "!".repeat(2000),
        "哈".repeat(400),
        "This is the same sentence. ".repeat(12),
        format!("{}\n\n", "One paragraph that is rather long, so that a few of it are enough to tell that \
            nothing new will come: it says what it said before, and it will say so again and again, until it is stopped.")
            .repeat(5),
        "我会再次检查这个文件，然后告诉您结果。".repeat(10),
        "0".repeat(600),
    ];
    for text in &loops {
        assert!(stuck(&[lead, text].concat()), "{text:.60}");
        // Stopped anywhere.
        let end = text.char_indices().map(|(index, _)| index).nth_back(3);
        let cut = &text[..end.unwrap_or_default()];
        assert!(stuck(&[lead, cut].concat()), "{text:.60}");
    }
}

#[test]
fn the_same_sentence_between_others_is_a_loop_if_it_is_most_of_them() {
    let text: String = (0..40)
        .map(|index| match index % 8 {
            3 => format!("Now step {index} is done.\n"),
            _ => "Let me look at the file once more.\n".to_owned(),
        })
        .collect();
    assert!(stuck(&text));
}

#[test]
fn what_repeats_itself_by_its_nature_is_no_loop() {
    let table = format!("| a | b |\n|---|---|\n{}", "| yes | no |\n".repeat(20));
    let rows: String = (1..80)
        .map(|row| format!("{row}. The item is in stock\n"))
        .collect();
    let timetable: String = (6..23).map(|hour| format!("{hour}:00 free\n")).collect();
    let json = format!("[{}0]", "0, ".repeat(500));
    let objects = format!(
        "{{\"rows\": [{}]}}",
        vec!["{\"name\": \"x\", \"is_open\": true}"; 60].join(",\n")
    );
    let code = format!(
        "```html\n{}{}```\n",
        "<div>\n".repeat(30),
        "</div>\n".repeat(30)
    );
    let open_code = format!("```python\ndef f():\n{}", "    print('hello')\n".repeat(12));
    let rule = format!("Chapter one\n{}", "=".repeat(120));
    let poem = "Row, row, row your boat\nGently down the stream\nMerrily, merrily, merrily, merrily\nLife is but a dream\n\n".repeat(3);
    let refrain = "And the wind blew, and the rain fell, and the ship sailed on.\n".repeat(4);
    let song: String = (1..12).map(|verse| format!("Verse {verse} tells of another day,\nof what was lost and found.\nOh, the sea, the sea!\nOh, the sea, the sea!\n\n")).collect();
    let laugh = "ha ".repeat(30);
    let list = "- [ ] todo\n".repeat(15);
    let texts = [
        &*table,
        &rows,
        &timetable,
        &json,
        &objects,
        &code,
        &open_code,
        &rule,
        &poem,
        &refrain,
        &song,
        &laugh,
        &list,
        "",
        "a",
        "no no no no no",
    ];
    for text in texts {
        assert!(!stuck(text), "{text:.80}");
    }
}

#[test]
fn a_loop_that_has_ended_is_none() {
    let text = format!(
        "{}That was the log. The cause is the disk.",
        "retrying\n".repeat(60)
    );
    assert!(!stuck(&text));
}

#[test]
fn the_end_of_a_text_is_looked_at_however_long_it_is() {
    let mut parts = vec![Part::text("Words, many of them, and all are different. ")];
    let long: String = (0..60_000).map(|index| format!("{index} ")).collect();
    parts.push(Part::text(&*long));
    let answer = of_parts(parts.clone());
    assert_eq!(
        outcome("repetition", &request("?"), &answer),
        Outcome::Passed
    );
    parts.push(Part::text("and so on ".repeat(100)));
    let answer = of_parts(parts);
    assert_eq!(
        outcome("repetition", &request("?"), &answer),
        Outcome::Fired
    );
}
