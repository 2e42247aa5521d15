//! `wrong_language`: what is beyond doubt, and nothing else.

use super::*;

const ENGLISH: &str = "The river that flows through the city is known for its bridges, and most of them are older than the houses \
    which stand by the water. You can see them from the old tower.";
const GERMAN: &str = "Der Fluss, der durch die Stadt fließt, ist für seine Brücken bekannt, und die meisten von ihnen sind älter als die \
    Häuser, die am Wasser stehen. Man kann sie auch von dem alten Turm aus sehen.";
const FRENCH: &str = "Le fleuve qui traverse la ville est connu pour ses ponts, et la plupart sont plus anciens que les maisons qui \
    se trouvent sur les quais. Vous les voyez aussi dans la vieille tour, avec une lunette.";
const SPANISH: &str = "El río que cruza la ciudad es conocido por sus puentes, y la mayoría de los puentes son más antiguos que las casas \
    del puerto. También puede verlos desde una torre muy vieja, como hay otra.";
const ITALIAN: &str = "Il fiume che attraversa la città è conosciuto per i suoi ponti, e la maggior parte di questi è più antica degli \
    edifici della riva. Si vedono anche dalla vecchia torre, che non è alta come quella del comune.";
const PORTUGUESE: &str = "O rio que atravessa a cidade é conhecido por suas pontes, e os mais velhos não são tão altos como as casas da \
    margem. Você pode também ver uma delas na torre do porto, mas não em dias de chuva.";
const DUTCH: &str = "De rivier die door de stad stroomt, is bekend om zijn bruggen, en de meeste zijn ouder dan het huis dat aan het water \
    staat. Je kan ze ook zien vanaf een toren, maar niet met deze regen.";
const POLISH: &str = "Rzeka, która płynie przez miasto, jest znana z mostów, a większość z nich jest starsza niż domy, które stoją \
    nad wodą. Można je zobaczyć także z wieży, ale nie jest ona wysoka, jak się może zdawać.";
const RUSSIAN: &str = "Река, которая течёт через город, известна своими мостами, и большинство из них старше домов, стоящих у воды.";
const CHINESE: &str =
    "穿过城市的河流以桥梁闻名，其中大多数桥比水边的房屋还要古老，从旧塔上也能看到。";
const JAPANESE: &str = "街を流れる川は橋で知られていて、その多くは水辺に立つ家よりも古いものです。";
const KOREAN: &str =
    "도시를 흐르는 강은 다리로 유명하며, 대부분은 물가에 서 있는 집보다 오래되었습니다.";
const ARABIC: &str =
    "النهر الذي يمر عبر المدينة معروف بجسوره، ومعظمها أقدم من البيوت التي تقف على ضفة الماء.";
const GREEK: &str = "Ο ποταμός που διασχίζει την πόλη είναι γνωστός για τις γέφυρές του, και οι περισσότερες είναι παλιές.";
const HEBREW: &str =
    "הנהר שזורם דרך העיר ידוע בגשרים שלו, ורובם ישנים יותר מהבתים שעומדים ליד המים.";
const HINDI: &str =
    "शहर से होकर बहने वाली नदी अपने पुलों के लिए जानी जाती है, और उनमें से अधिकांश घरों से पुराने हैं।";
const THAI: &str = "แม่น้ำที่ไหลผ่านเมืองมีชื่อเสียงเรื่องสะพาน และสะพานส่วนใหญ่เก่าแก่กว่าบ้านที่ตั้งอยู่ริมน้ำ";

const TEXTS: [&str; 17] = [
    ENGLISH, GERMAN, FRENCH, SPANISH, ITALIAN, PORTUGUESE, DUTCH, POLISH, RUSSIAN, CHINESE,
    JAPANESE, KOREAN, ARABIC, GREEK, HEBREW, HINDI, THAI,
];

fn judge(question: &str, said: &str) -> Outcome {
    outcome("wrong_language", &request(question), &answer(said))
}

#[test]
fn an_answer_in_another_language_is_wrong_and_one_in_the_same_is_not() {
    for (asked_in, question) in TEXTS.into_iter().enumerate() {
        for (said_in, said) in TEXTS.into_iter().enumerate() {
            let expected = match asked_in == said_in {
                true => Outcome::Passed,
                false => Outcome::Fired,
            };
            assert_eq!(judge(question, said), expected, "{question}\n{said}");
        }
    }
}

#[test]
fn what_is_short_or_code_tells_nothing() {
    assert_eq!(judge("Wie heißt der Fluss?", ENGLISH), Outcome::Unknown);
    assert_eq!(judge(GERMAN, "The Seine."), Outcome::Unknown);
    let code = format!("```\n{ENGLISH}\n```\nhttps://example.com/the/and/of `{ENGLISH}`");
    assert_eq!(judge(GERMAN, &code), Outcome::Unknown);
    assert_eq!(
        judge(
            RUSSIAN,
            "kubectl get pods apply describe rollout status deployment nginx namespace"
        ),
        Outcome::Unknown
    );
}

#[test]
fn a_request_that_names_a_language_or_a_translation_decides_nothing() {
    for wish in [
        "Übersetze das.",
        "Please answer in English.",
        "Antworte auf Englisch.",
        "Translate it.",
        "翻译一下",
    ] {
        assert_eq!(
            judge(&format!("{GERMAN} {wish}"), ENGLISH),
            Outcome::Unknown,
            "{wish}"
        );
    }
    let mut by_system = request(GERMAN);
    by_system
        .turns
        .insert(0, turn(Role::System, "Always answer in English."));
    assert_eq!(
        outcome("wrong_language", &by_system, &answer(ENGLISH)),
        Outcome::Unknown
    );
}

#[test]
fn a_language_that_stands_in_the_turn_or_was_answered_in_before_is_not_wrong() {
    assert_eq!(
        judge(&format!("Fasse zusammen: {ENGLISH}"), GERMAN),
        Outcome::Unknown
    );
    assert_eq!(
        judge(&format!("{ENGLISH} {RUSSIAN}"), RUSSIAN),
        Outcome::Unknown
    );
    assert_eq!(
        judge(&format!("{RUSSIAN} {ENGLISH}"), ENGLISH),
        Outcome::Unknown
    );
    let mut going_on = request(ENGLISH);
    going_on.turns.push(turn(Role::Assistant, ENGLISH));
    going_on.turns.push(turn(Role::User, GERMAN));
    assert_eq!(
        outcome("wrong_language", &going_on, &answer(ENGLISH)),
        Outcome::Passed
    );
    assert_eq!(
        outcome("wrong_language", &going_on, &answer(FRENCH)),
        Outcome::Fired
    );
}

#[test]
fn a_turn_that_holds_a_document_decides_nothing() {
    assert_eq!(judge(&GERMAN.repeat(40), ENGLISH), Outcome::Unknown);
}
