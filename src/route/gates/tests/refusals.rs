//! `refusal` and `unsure`, in every language that they read.

use super::super::phrases::LANGUAGES;
use super::*;

const REFUSALS: &[(&str, &[&str])] = &[
    (
        "English",
        &[
            "I'm sorry, but I can't help with that.",
            "I’m sorry, but I can’t assist with that request.",
            "I cannot provide instructions for making weapons. If you are struggling, please reach out.",
            "**I can't help you with that.**\n\nHere is what I can do:",
            "I'm not able to discuss this topic.",
            "As an AI language model, I cannot generate such content.",
            "I won't write that story.",
            "Sorry, I am unable to assist.",
            "I apologize, but I don't feel comfortable writing this.",
            "I must respectfully decline this request.",
            "This request violates my guidelines.",
            "Unfortunately, I can't access your files.",
            "I understand you are upset, but I can't help you harm someone.",
        ],
    ),
    (
        "German",
        &[
            "Es tut mir leid, aber dabei kann ich nicht helfen.",
            "Tut mir leid, ich kann diese Anfrage nicht bearbeiten.",
            "Dabei kann ich dir leider nicht helfen.",
            "Ich kann Ihnen keine Anleitung zum Bau von Waffen geben.",
            "Leider bin ich nicht in der Lage, das zu tun.",
            "Als KI-Sprachmodell darf ich keine medizinischen Diagnosen erstellen.",
        ],
    ),
    (
        "French",
        &[
            "Je suis désolé, mais je ne peux pas vous aider avec cette demande.",
            "Désolée, je ne peux pas répondre à cette question.",
            "Je ne peux pas fournir ce type d'informations.",
            "Malheureusement, je ne suis pas en mesure de le faire.",
            "En tant qu'IA, je ne peux pas générer ce contenu.",
        ],
    ),
    (
        "Spanish",
        &[
            "Lo siento, pero no puedo ayudarte con eso.",
            "No puedo proporcionar esa información.",
            "Lamentablemente, no me es posible hacerlo.",
            "Lo lamento, no estoy en condiciones de responder.",
            "Como modelo de lenguaje, no puedo generar ese contenido.",
        ],
    ),
    (
        "Italian",
        &[
            "Mi dispiace, ma non posso aiutarti con questo.",
            "Non posso fornire queste informazioni.",
            "Purtroppo non sono in grado di rispondere.",
            "Mi spiace, non mi è possibile farlo.",
        ],
    ),
    (
        "Portuguese",
        &[
            "Desculpe, mas não posso ajudar com isso.",
            "Sinto muito, não consigo fornecer essa informação.",
            "Não posso ajudá-lo com esse pedido.",
            "Infelizmente, não é possível atender a esse pedido.",
        ],
    ),
    (
        "Dutch",
        &[
            "Het spijt me, maar daar kan ik je niet mee helpen.",
            "Sorry, ik kan geen instructies geven voor wapens.",
            "Daar kan ik niet bij helpen.",
            "Helaas kan ik dit verzoek niet uitvoeren.",
        ],
    ),
    (
        "Polish",
        &[
            "Przepraszam, ale nie mogę w tym pomóc.",
            "Nie mogę udzielić takich informacji.",
            "Niestety, nie jestem w stanie odpowiedzieć na to pytanie.",
            "Przykro mi, ale muszę odmówić.",
        ],
    ),
    (
        "Russian",
        &[
            "Извините, но я не могу помочь с этим.",
            "К сожалению, я не могу ответить на этот вопрос.",
            "Я не могу предоставить такую информацию.",
            "Простите, я вынужден отказать.",
        ],
    ),
    (
        "Chinese",
        &[
            "很抱歉，我无法协助您完成这个请求。",
            "对不起，我不能提供这方面的信息。",
            "我无法回答这个问题。",
            "抱歉，我不能帮助你。",
            "作为一个人工智能，我无法生成此类内容。",
            "這個問題我無法回答。",
        ],
    ),
    (
        "Japanese",
        &[
            "申し訳ありませんが、そのリクエストにはお応えできません。",
            "申し訳ございませんが、お手伝いすることはできません。",
            "すみませんが、その情報を提供することはできません。",
            "そのご要望には応じられません。",
            "残念ながら、お力になれません。",
        ],
    ),
    (
        "Korean",
        &[
            "죄송하지만, 그 요청은 도와드릴 수 없습니다.",
            "죄송합니다. 해당 질문에는 답변드릴 수 없습니다.",
            "죄송합니다만 그런 정보를 제공해 드릴 수 없습니다.",
            "저는 그 요청에 응할 수 없습니다.",
        ],
    ),
];

/// Answers that are none, though they speak of not being able, are sorry, or quote one who refuses.
const ANSWERS: &[&str] = &[
    "I can't believe it: your code works!",
    "I can't help but admire this solution.",
    "I won't give up on this: here is the second try.",
    "Sorry, I can't make it on Friday. Could we meet on Monday?",
    "I can't say enough good things about this library.",
    "Ich werde nicht aufgeben, bis es läuft.",
    "Leider kann ich am Freitag nicht kommen. Passt Montag?",
    "Malheureusement, je ne peux pas venir vendredi.",
    "很抱歉，我明天无法参加会议。",
    "申し訳ありませんが、明日の会議には出席できません。",
    "죄송하지만 내일 회의에 참석할 수 없습니다.",
    "I cannot stress enough how important backups are.",
    "\"I'm sorry, but I can't help with that\" is what the model says when it refuses.",
    "> I can't help with that.\n\nThis is the sentence that you asked about.",
    "The service replied: I'm sorry, but I can't help with that.",
    "Sorry to hear that! Let's fix it: restart the server first.",
    "I'm sorry you had trouble. The setting is in `config.yaml`.",
    "Sorry, I misread your question. The result is 42.",
    "You can't help everyone, but you can help someone.",
    "Penguins are unable to fly.",
    "If the form says \"I cannot provide a number\", leave it empty.",
    "I will help you with that. First, open the file.",
    "I can help with that!",
    "No, 91 is not a prime: it is 7 times 13.",
    "Thank you for the details. The answer is yes.",
    "However, the second law says otherwise.",
    "Ich kann nicht genug betonen, wie wichtig Pausen sind.",
    "Tut mir leid, das war ein Fehler. Richtig ist 42.",
    "Leider regnet es morgen in Berlin den ganzen Tag.",
    "Leider ist der Zug um 8 Uhr schon ausgebucht, der um 9 Uhr hat noch Plätze.",
    "Ich kann Ihnen gerne helfen.",
    "Je ne peux que vous féliciter pour ce résultat.",
    "Désolé pour l'erreur : la bonne réponse est 42.",
    "No puedo creer lo rápido que fue. El resultado es 42.",
    "Lo siento por la confusión. La respuesta correcta es 42.",
    "Non posso che complimentarmi con te!",
    "Mi dispiace per l'errore: la risposta è 42.",
    "Não posso deixar de elogiar o seu trabalho.",
    "Het spijt me voor de verwarring: het antwoord is 42.",
    "Przepraszam za pomyłkę. Prawidłowa odpowiedź to 42.",
    "Не могу не отметить, что код написан хорошо.",
    "Извините за путаницу. Правильный ответ: 42.",
    "无法连接数据库通常是因为端口被占用。",
    "抱歉让您久等了，答案是42。",
    "水は100度以上の液体にはできません。",
    "申し訳ありません、計算を間違えました。正しくは42です。",
    "죄송합니다, 계산이 틀렸네요. 정답은 42입니다.",
    "이 버전에서는 플러그인을 사용할 수 없습니다.",
    "",
];

const DOUBTS: &[(&str, &[&str])] = &[
    (
        "English",
        &[
            "I'm not sure, but it may be Lyon.",
            "I don't know the answer to that.",
            "As of my last update in 2023, the CEO was someone else.",
            "It may be Lyon, but I'm not entirely certain.",
            "Unfortunately, I don't have any information about this person.",
            "I’m not familiar with that library.",
        ],
    ),
    (
        "German",
        &[
            "Ich bin mir nicht sicher, aber es könnte Lyon sein.",
            "Das weiß ich leider nicht.",
            "Ich habe dazu keine Informationen.",
        ],
    ),
    (
        "French",
        &[
            "Je ne suis pas sûr de la réponse.",
            "Je ne sais pas.",
            "À ma connaissance, il vit à Lyon.",
        ],
    ),
    (
        "Spanish",
        &[
            "No estoy seguro de eso.",
            "No lo sé.",
            "No tengo información sobre esa persona.",
        ],
    ),
    (
        "Italian",
        &[
            "Non sono sicuro della risposta.",
            "Non lo so.",
            "Non ho informazioni su questo.",
        ],
    ),
    (
        "Portuguese",
        &[
            "Não tenho certeza sobre isso.",
            "Não sei.",
            "Eu não tenho informações sobre essa pessoa.",
        ],
    ),
    (
        "Dutch",
        &[
            "Ik weet het niet zeker.",
            "Ik ben er niet zeker van.",
            "Ik heb hier geen informatie over.",
        ],
    ),
    (
        "Polish",
        &[
            "Nie jestem pewien odpowiedzi.",
            "Nie wiem.",
            "Nie mam informacji na ten temat.",
        ],
    ),
    (
        "Russian",
        &[
            "Я не уверен в ответе.",
            "Я не знаю.",
            "У меня нет информации об этом человеке.",
        ],
    ),
    (
        "Chinese",
        &[
            "我不确定这个答案是否正确。",
            "我不知道。",
            "截至我的知识更新时间，他仍是总裁。",
        ],
    ),
    (
        "Japanese",
        &[
            "わかりません。",
            "私の知る限り、彼は東京に住んでいます。",
            "この件については情報がありません。",
        ],
    ),
    (
        "Korean",
        &[
            "잘 모르겠습니다.",
            "확실하지 않습니다만, 서울일 수 있습니다.",
            "저는 그에 대한 정보를 가지고 있지 않습니다.",
        ],
    ),
];

const CERTAIN: &[&str] = &[
    "Make sure that the file exists.",
    "I'm sure it is Lyon.",
    "The song says \"I don't know\" four times.",
    "Whether he was sure is not recorded; the answer is Lyon.",
    "Sicher: das ist Lyon.",
    "Je sais que c'est Lyon.",
    "Sí, es Lyon, como sabes.",
    "答案是里昂。",
    "答えはリヨンです。",
    "정답은 리옹입니다.",
];

#[test]
fn every_language_has_examples() {
    for examples in [REFUSALS, DOUBTS] {
        let named: Vec<_> = examples.iter().map(|(language, _)| *language).collect();
        assert_eq!(named, LANGUAGES.map(|phrases| phrases.language));
    }
}

#[test]
fn a_refusal_is_one_in_every_language() {
    for text in REFUSALS.iter().flat_map(|(_, texts)| *texts) {
        assert_eq!(said("refusal", text), Outcome::Fired, "{text}");
    }
}

#[test]
fn what_only_sounds_like_a_refusal_is_none() {
    let others = DOUBTS.iter().flat_map(|(_, texts)| *texts);
    let missed: Vec<_> = ANSWERS
        .iter()
        .chain(CERTAIN)
        .filter(|text| said("refusal", text) != Outcome::Passed)
        .collect();
    assert!(missed.is_empty(), "{missed:#?}");
    // To know nothing is not to refuse, as far as the two can be told apart.
    let both = others.filter(|text| said("refusal", text) == Outcome::Fired);
    assert!(both.count() <= 2);
}

#[test]
fn a_doubt_is_one_in_every_language() {
    for text in DOUBTS.iter().flat_map(|(_, texts)| *texts) {
        assert_eq!(said("unsure", text), Outcome::Fired, "{text}");
    }
    for text in CERTAIN.iter().chain(ANSWERS) {
        assert_eq!(said("unsure", text), Outcome::Passed, "{text}");
    }
}

#[test]
fn a_refusal_may_come_behind_nothing_but_space_and_emphasis() {
    let later = "The capital of France is Paris. I can't help with anything else.";
    assert_eq!(said("refusal", later), Outcome::Passed);
    assert_eq!(
        said("refusal", " \n# I can't help with that"),
        Outcome::Fired
    );
}

#[test]
fn a_providers_own_word_is_a_refusal() {
    let own = of_parts(vec![Part::from(Content::Refusal("No.".into()))]);
    assert_eq!(outcome("refusal", &request("?"), &own), Outcome::Fired);
    let end = ended("", Finish::Refusal);
    assert_eq!(outcome("refusal", &request("?"), &end), Outcome::Fired);
    let nothing = of_parts(vec![
        Part::from(Content::Refusal(String::new())),
        Part::text("Yes."),
    ]);
    assert_eq!(outcome("refusal", &request("?"), &nothing), Outcome::Passed);
}

#[test]
fn who_calls_a_tool_does_not_refuse() {
    let parts = vec![
        Part::text("I can't help with that myself."),
        call("search", "{}"),
    ];
    let answer = of_parts(parts);
    assert_eq!(outcome("refusal", &request("?"), &answer), Outcome::Passed);
}
