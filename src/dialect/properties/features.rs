//! The table of what is carried is true of every feature, by itself.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::arbitrary::{self, Palette};
use super::{TARGETS, Target, requests, tries, views};
use crate::dialect::common::{Carry, Feature, Request};

/// What a request must hold besides, for the feature to be used in it.
fn needs(feature: Feature) -> &'static [Feature] {
    use Feature as F;
    match feature {
        F::ImageDetail => &[F::ImageData, F::ImageUrl],
        F::DocumentCitations => &[F::DocumentData],
        F::ToolStrict
        | F::ToolChoiceNone
        | F::ToolChoiceRequired
        | F::ToolChoiceNamed
        | F::ToolChoiceAllowed
        | F::ParallelToolCalls
        | F::ToolResultError => &[F::Tools],
        F::ToolResultMedia => &[F::Tools, F::ImageData, F::DocumentData],
        F::Signature => &[F::Thinking],
        _ => &[],
    }
}

fn uses(request: &Request, feature: Feature) -> bool {
    let mut is_used = false;
    request.each_feature(&mut |used| is_used |= used == feature);
    is_used
}

fn using(feature: Feature) -> impl Strategy<Value = Request> {
    let palette = Palette::of([&[feature], needs(feature)].concat());
    arbitrary::requests(arbitrary::dialects(), &palette)
        .prop_filter("the feature is used", move |request| uses(request, feature))
}

#[test]
fn what_is_not_carried_is_told_and_what_is_not_told_is_carried() {
    for feature in Feature::ALL {
        let strategy = using(*feature);
        for target in TARGETS {
            let outcome = TestRunner::new(tries(5)).run(&strategy, |request| {
                check(target, request, *feature).map_err(TestCaseError::fail)
            });
            if let Err(error) = outcome {
                panic!("{feature:?} {target:?}: {error}");
            }
        }
    }
}

fn check(target: &Target, mut request: Request, feature: Feature) -> Result<(), String> {
    requests::lose_nothing(target, request.clone())?;
    requests::complete(&mut request);
    let Ok((body, dropped)) = target.write(&request) else {
        return Ok(());
    };
    let Ok(read) = target.read(&body, request.stream) else {
        return Ok(());
    };
    let text = || {
        format!(
            "{}\n{request:?}\n{}",
            dropped.joined(),
            String::from_utf8_lossy(&body)
        )
    };
    let is_told = dropped
        .names()
        .any(|name| name == feature.field(request.source));
    let is_used = uses(&request, feature);
    let (asked, kept) = (views::view(&request, feature), views::view(&read, feature));
    match target.carries(feature) {
        Carry::Never if is_used && !is_told => Err(format!("not told {}", text())),
        Carry::Never if is_used && kept == asked => Err(format!("kept {}", text())),
        Carry::Whole if is_told => Err(format!("told {}", text())),
        Carry::Whole if kept != asked => Err(format!("{asked:?}\n{kept:?}\n{}", text())),
        Carry::Partly(_) if is_setting(feature) && !is_told && kept != asked => {
            Err(format!("{asked:?}\n{kept:?}\n{}", text()))
        }
        _ => Ok(()),
    }
}

/// Whether it is a number or a word that is kept or not. What is said in a conversation may be kept in other words, and
/// is looked for by its marks; how much to think is a matter of more or less.
const fn is_setting(feature: Feature) -> bool {
    use Feature as F;
    matches!(
        feature,
        F::ParallelToolCalls
            | F::JsonObject
            | F::MaxTokens
            | F::Temperature
            | F::TopP
            | F::TopK
            | F::Stop
            | F::Seed
            | F::N
            | F::Logprobs
            | F::PresencePenalty
            | F::FrequencyPenalty
            | F::LogitBias
            | F::User
            | F::Metadata
            | F::ServiceTier
            | F::Store
            | F::Verbosity
    )
}
