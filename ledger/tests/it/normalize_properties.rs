//! Whatever a provider reports, no token is counted twice and none is lost: the quantities are compared with a slow
//! and obvious model of each accounting shape.

use ledger::event::UsageEvent;
use ledger::usage::{self, Flag, Normalized};
use proptest::prelude::*;
use serde_json::{Value, json};

fn normalize(family: &str, usage: &Value, context: &Value) -> Normalized<'static> {
    let event = json!({"endpoint_family": family, "provider": "openai", "usage": usage, "context": context});
    let event: &'static UsageEvent<'static> = Box::leak(Box::new(crate::support::event(&event)));
    let mut normalized = Normalized::default();
    usage::normalize(event, &mut normalized).unwrap();
    normalized
}

fn tokens() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0_u64..50, 0_u64..1_000_000]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn inclusive_counters_add_up_to_prompt_and_completion(
        prompt in tokens(), cached in tokens(), written in tokens(), audio in tokens(), image in tokens(),
        completion in tokens(), reasoning in tokens(), audio_out in tokens(),
    ) {
        let usage = json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written, "audio_tokens": audio,
                "image_tokens": image},
            "completion_tokens_details": {"reasoning_tokens": reasoning, "audio_tokens": audio_out},
        });
        let main = normalize("openai", &usage, &Value::Null).main;
        prop_assert_eq!(main.quantities.input_tokens(), prompt);
        prop_assert_eq!(main.quantities.output_tokens(), completion);
        prop_assert_eq!(main.dimensions.prompt_tokens_total, prompt);
        let overlaps = cached + written > prompt || audio + image > prompt || reasoning + audio_out > completion;
        if !overlaps {
            prop_assert!(!main.flags.contains(Flag::InconsistentUsage));
            prop_assert!(!main.flags.contains(Flag::CacheOverlapClamped));
        }
    }

    #[test]
    fn reasoning_beside_the_completion_is_added_once(
        prompt in tokens(), completion in tokens(), reasoning in 1_u64..100_000,
    ) {
        let usage = json!({
            "prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion + reasoning,
            "completion_tokens_details": {"reasoning_tokens": reasoning},
        });
        let main = normalize("openai", &usage, &Value::Null).main;
        prop_assert_eq!(main.quantities.output_tokens(), completion + reasoning);
        prop_assert!(main.flags.is_empty());
    }

    #[test]
    fn exclusive_counters_add_up_to_their_three_addends(
        input in tokens(), read in tokens(), written in tokens(), five in tokens(), hour in tokens(),
        output in tokens(), thinking in tokens(),
    ) {
        let usage = json!({
            "input_tokens": input, "cache_read_input_tokens": read, "cache_creation_input_tokens": written,
            "cache_creation": {"ephemeral_5m_input_tokens": five, "ephemeral_1h_input_tokens": hour},
            "output_tokens": output, "output_tokens_details": {"thinking_tokens": thinking},
        });
        let main = normalize("anthropic", &usage, &Value::Null).main;
        prop_assert_eq!(main.quantities.input_tokens(), input + read + written);
        prop_assert_eq!(main.quantities.output_tokens(), output);
        prop_assert_eq!(main.dimensions.prompt_tokens_total, input + read + written);
        prop_assert_eq!(main.flags.contains(Flag::CacheTtlAssumed5m), five + hour < written);
    }

    #[test]
    fn gemini_counters_add_up_to_their_four_addends(
        prompt in tokens(), cached in tokens(), tool in tokens(), candidates in tokens(), thoughts in 0_u64..1000,
        audio in tokens(), image_out in tokens(), cached_audio in tokens(),
    ) {
        let usage = json!({
            "promptTokenCount": prompt, "cachedContentTokenCount": cached, "toolUsePromptTokenCount": tool,
            "candidatesTokenCount": candidates, "thoughtsTokenCount": thoughts,
            "totalTokenCount": prompt + tool + candidates + thoughts,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": audio}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": cached_audio}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": image_out}],
        });
        let main = normalize("gemini", &usage, &Value::Null).main;
        prop_assert_eq!(main.quantities.input_tokens(), prompt + tool);
        prop_assert_eq!(main.quantities.output_tokens(), candidates + thoughts);
        prop_assert_eq!(main.dimensions.prompt_tokens_total, prompt, "tool tokens do not count towards the step");
    }

    #[test]
    fn an_unknown_field_changes_no_quantity(prompt in tokens(), surprise in tokens()) {
        let usage = json!({"prompt_tokens": prompt});
        let surprised = json!({"prompt_tokens": prompt, "surprise_tokens": surprise});
        for family in ["openai", "embeddings"] {
            let (known, unknown) =
                (normalize(family, &usage, &Value::Null).main, normalize(family, &surprised, &Value::Null).main);
            prop_assert_eq!(known.quantities, unknown.quantities);
            prop_assert!(unknown.flags.contains(Flag::UnknownUsageField));
        }
    }
}
