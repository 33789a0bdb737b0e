//! The query string as a strict form: each parameter is known, not empty and given as often as it may be.

use axum::extract::Query;
use axum::http::Uri;

use crate::error::Problem;

/// Parameters of a call that are not yet taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query string; an empty value is a mistake, not an absent parameter.
    pub(crate) fn parse(uri: &Uri) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Problem::parameter("", format!("the query string cannot be read: {error}")))?;
        Self::of(pairs)
    }

    /// The same from a body's fields.
    pub(crate) fn of(pairs: Vec<(String, String)>) -> Result<Self, Problem> {
        match pairs.iter().find(|(_, value)| value.is_empty()) {
            Some((name, _)) => Err(empty(name)),
            None => Ok(Self(pairs)),
        }
    }

    /// Takes a parameter that is given at most once.
    pub(crate) fn one(&mut self, name: &str) -> Result<Option<String>, Problem> {
        let mut values = self.all(name);
        if values.len() > 1 {
            return Err(Problem::parameter(
                name,
                format!("`{name}` is given {} times; give it once", values.len()),
            ));
        }
        Ok(values.pop())
    }

    /// Takes a parameter that may be repeated.
    pub(crate) fn all(&mut self, name: &str) -> Vec<String> {
        let (taken, rest) = std::mem::take(&mut self.0)
            .into_iter()
            .partition::<Vec<_>, _>(|(candidate, _)| candidate == name);
        self.0 = rest;
        taken.into_iter().map(|(_, value)| value).collect()
    }

    /// Takes a parameter that is one of a few names.
    pub(crate) fn choice<T: Copy>(
        &mut self,
        name: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        let found = choices.iter().find(|(choice, _)| *choice == text).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            Problem::parameter(name, format!("`{name}` cannot be `{text}`"))
                .allowed(choices.iter().map(|(choice, _)| *choice))
        })
    }

    /// Refuses `limit` and `cursor`, for an answer that is the whole result.
    pub(crate) fn without_pages(&self) -> Result<(), Problem> {
        let Some(name) = self.names().find(|name| ["limit", "cursor"].contains(name)) else { return Ok(()) };
        Err(Problem::parameter(
            name,
            "an export gives the whole result; leave out `limit` and `cursor`, or take `format=json`",
        ))
    }

    /// Takes `limit`: 1 to `max`, `default` where absent.
    pub(crate) fn limit(&mut self, default: u64, max: u64) -> Result<u64, Problem> {
        Ok(self.count("limit", max)?.unwrap_or(default))
    }

    /// Takes a whole number from 1 to `max`.
    pub(crate) fn count(&mut self, name: &str, max: u64) -> Result<Option<u64>, Problem> {
        let Some(text) = self.one(name)? else { return Ok(None) };
        text.parse().ok().filter(|count| (1..=max).contains(count)).map(Some).ok_or_else(|| {
            Problem::parameter(name, format!("`{name}` cannot be `{text}`"))
                .allowed([format!("a whole number from 1 to {max}")])
        })
    }

    /// Names of the parameters that are not taken yet.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Refuses what is left: a parameter that the call does not know.
    pub(crate) fn finish<T: Into<String>>(self, known: impl IntoIterator<Item = T>) -> Result<(), Problem> {
        let Some((name, _)) = self.0.into_iter().next() else { return Ok(()) };
        Err(Problem::parameter(&name, format!("there is no parameter `{name}` here")).allowed(known))
    }
}

fn empty(name: &str) -> Problem {
    Problem::parameter(name, format!("`{name}` is empty; give it a value or leave it out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Result<Parameters, Problem> {
        Parameters::parse(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn an_empty_value_is_refused_by_name() {
        assert_eq!(parameters("from=").unwrap_err().parameter.as_deref(), Some("from"));
        assert_eq!(parameters("from").unwrap_err().parameter.as_deref(), Some("from"));
    }

    #[test]
    fn an_unknown_parameter_is_refused_with_the_known_ones() {
        let problem = parameters("lmit=3").unwrap().finish(["limit"]).unwrap_err();
        assert_eq!(problem.status, 400);
        assert_eq!(problem.parameter.as_deref(), Some("lmit"));
        assert_eq!(problem.allowed, ["limit"]);
    }

    #[test]
    fn a_limit_is_at_least_one_and_at_most_the_page() {
        for text in ["0", "-1", "1001", "x", "1.5"] {
            let problem = parameters(&format!("limit={text}")).unwrap().limit(10, 1000).unwrap_err();
            assert_eq!(problem.parameter.as_deref(), Some("limit"), "{text}");
        }
        assert_eq!(parameters("limit=1000").unwrap().limit(10, 1000).unwrap(), 1000);
        assert_eq!(parameters("").unwrap().limit(10, 1000).unwrap(), 10);
    }

    #[test]
    fn values_are_decoded_and_repeats_kept_in_order() {
        let mut parameters = parameters("team=a%20b&model=m&team=c%26d").unwrap();
        assert_eq!(parameters.all("team"), ["a b", "c&d"]);
        assert_eq!(parameters.one("model").unwrap().as_deref(), Some("m"));
        parameters.finish([""; 0]).unwrap();
    }

    #[test]
    fn what_is_given_once_is_not_given_twice() {
        assert!(parameters("tz=UTC&tz=UTC").unwrap().one("tz").is_err());
    }
}
