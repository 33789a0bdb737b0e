//! The names of a model: what its rule says exactly, and its id where the rule fits it.

use serde::Deserialize;

/// Which references mean a model.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Rule {
    Equals(String),
    StartsWith(String),
    EndsWith(String),
    Contains(String),
    Regex(String),
    #[serde(rename = "or_", alias = "or")]
    Or(Vec<Rule>),
    #[serde(rename = "and_", alias = "and")]
    And(Vec<Rule>),
}

/// A model's names, the first of them its own, and the rules that are no names.
pub(super) struct Found {
    pub(super) names: Vec<String>,
    pub(super) rules: Vec<String>,
}

/// The names that a rule says. The id is one where the rule fits it; expressions are not evaluated, and dated forms of
/// a name need no rule.
pub(super) fn of(id: &str, rule: &Rule) -> Found {
    let mut found = Found { names: Vec::new(), rules: Vec::new() };
    if rule.fits(id) {
        found.names.push(id.to_owned());
    }
    rule.collect(&mut found);
    let names = found.names.clone();
    found.rules.retain(|rule| !names.iter().any(|name| says_dated(rule, name)));
    found
}

impl Rule {
    fn fits(&self, text: &str) -> bool {
        let text = &text.to_lowercase();
        match self {
            Self::Equals(name) => *text == name.to_lowercase(),
            Self::StartsWith(start) => text.starts_with(&start.to_lowercase()),
            Self::EndsWith(end) => text.ends_with(&end.to_lowercase()),
            Self::Contains(part) => text.contains(&part.to_lowercase()),
            Self::Regex(_) => false,
            Self::Or(rules) => rules.iter().any(|rule| rule.fits(text)),
            Self::And(rules) => rules.iter().all(|rule| rule.fits(text)),
        }
    }

    fn collect(&self, found: &mut Found) {
        match self {
            Self::Equals(name) => {
                if !found.names.contains(name) {
                    found.names.push(name.clone());
                }
            }
            Self::Or(rules) => rules.iter().for_each(|rule| rule.collect(found)),
            Self::StartsWith(text) => found.rules.push(format!("starts_with {text}")),
            Self::EndsWith(text) => found.rules.push(format!("ends_with {text}")),
            Self::Contains(text) => found.rules.push(format!("contains {text}")),
            Self::Regex(text) => found.rules.push(format!("regex {text}")),
            Self::And(_) => found.rules.push("several rules at once".into()),
        }
    }
}

/// Whether a rule means the dated forms of a name, which its row matches anyway.
fn says_dated(rule: &str, name: &str) -> bool {
    let Some(expression) = rule.strip_prefix("regex ^") else { return false };
    let plain = expression.replace("\\.", ".").replace("\\-", "-");
    [r"-\d{8}$", r"-\d{4}-\d{2}-\d{2}$"].iter().any(|date| plain.strip_suffix(*date) == Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, rule: &str) -> (Vec<String>, Vec<String>) {
        let found = of(id, &serde_json::from_str(rule).unwrap());
        (found.names, found.rules)
    }

    #[test]
    fn names_are_what_a_rule_says_exactly() {
        let rule = r#"{"or_":[{"equals":"gpt-9"},{"equals":"gpt-9-chat"},{"starts_with":"gpt-9."},{"regex":"^gpt-9-\\d{4}-\\d{2}-\\d{2}$"}]}"#;
        assert_eq!(
            found("gpt-9", rule),
            (vec!["gpt-9".into(), "gpt-9-chat".into()], vec!["starts_with gpt-9.".into()])
        );
    }

    #[test]
    fn an_id_that_its_rule_does_not_fit_is_no_name() {
        assert_eq!(found("glm", r#"{"equals":"routers/glm"}"#).0, ["routers/glm"]);
        assert_eq!(found("glm-", r#"{"starts_with":"glm-9"}"#).0, [""; 0]);
        assert_eq!(found("glm-9x", r#"{"and":[{"starts_with":"glm-9"},{"ends_with":"x"}]}"#).0, ["glm-9x"]);
    }
}
