//! The dimensions that totals are grouped and filtered by: their names, the columns they are made of, and which
//! projections keep them.

use schemas::invoices::invoice_of_entry_sql;
use schemas::queries::like;

use crate::bounds::{Conditions, Values};
use crate::error::Problem;
use crate::parameters::Parameters;

/// Values that one filter may name.
const FILTER_VALUES_MAX: usize = 200;
/// Prefix of a dimension that is a tag.
const TAG: &str = "tag:";
/// Code points of a tag's name, as the event allows.
const TAG_NAME_MAX: usize = 128;

/// Which sources keep a dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Every projection.
    Everywhere,
    /// Both projections by day.
    ByDay,
    /// The projection by day and model.
    ByDayAndModel,
    /// The projection by day and key.
    ByDayAndKey,
    /// Only the entries themselves.
    InEntries,
    /// The lines of an entry.
    InLines,
}

/// A dimension of the closed set.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    /// SQL over the columns of `entries`; a text, empty where the entry has no value.
    expression: &'static str,
    pub(crate) kept: Kept,
}

const fn column(name: &'static str, expression: &'static str, kept: Kept) -> Column {
    Column { name, expression, kept }
}

/// Every dimension but the tags.
pub(crate) const COLUMNS: &[Column] = &[
    column("key", "key", Kept::ByDayAndKey),
    column("team", "team", Kept::Everywhere),
    column("app", "app", Kept::ByDay),
    column("environment", "environment", Kept::ByDay),
    column("customer", "customer", Kept::Everywhere),
    column("project", "project", Kept::InEntries),
    column("provider", "provider", Kept::ByDay),
    column("provider_account", "provider_account", Kept::InEntries),
    column("model", "model", Kept::ByDayAndModel),
    column("alias", "alias", Kept::InEntries),
    column("endpoint_family", "endpoint_family", Kept::InEntries),
    column("unit", UNIT, Kept::InLines),
    column("attempt_kind", "attempt_kind", Kept::InEntries),
    column("service_tier", "service_tier", Kept::InEntries),
    column("credential", "credential", Kept::InEntries),
    column(
        "status_class",
        "if(status = 0, '', concat(toString(intDiv(status, 100)), 'xx'))",
        Kept::InEntries,
    ),
    column("outcome", "outcome", Kept::InEntries),
    column(INVOICE, "", Kept::InEntries),
    column("currency", "currency", Kept::Everywhere),
    CHARGE_CURRENCY,
    column("cost_center", "cost_center", Kept::InEntries),
    column("end_user", "end_user", Kept::InEntries),
    column("workflow", "workflow", Kept::InEntries),
    column("route", "route", Kept::InEntries),
    column("region", "region", Kept::InEntries),
    column("processing", "processing", Kept::InEntries),
    column("speed", "speed", Kept::InEntries),
    column("error_class", "error_class", Kept::InEntries),
    column("gateway", "gateway", Kept::InEntries),
];

const CHARGE_CURRENCY: Column = column("charge_currency", "charge_currency", Kept::Everywhere);
/// The currency of a total of charges.
static CURRENCY_OF_CHARGE: Column = column("currency", "charge_currency", Kept::Everywhere);

/// The closed invoice, whose expression is a query's part.
const INVOICE: &str = "invoice";
/// The unit of the line that an entry was taken apart into; every line of a part has one unit.
const UNIT: &str = "part[1].1";

/// A dimension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// One of the closed set.
    Column(&'static Column),
    /// The label of that name.
    Tag(String),
}

impl Dimension {
    /// The dimension of that name, or what names there are.
    pub(crate) fn parse(parameter: &str, name: &str) -> Result<Self, Problem> {
        if let Some(tag) = name.strip_prefix(TAG)
            && !tag.is_empty()
            && tag.chars().count() <= TAG_NAME_MAX
        {
            return Ok(Self::Tag(tag.to_owned()));
        }
        COLUMNS.iter().find(|column| column.name == name).map(Self::Column).ok_or_else(|| {
            Problem::parameter(parameter, format!("there is no dimension `{name}`")).allowed(names())
        })
    }

    /// The name as it is asked for and answered.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Column(column) => column.name.to_owned(),
            Self::Tag(tag) => format!("{TAG}{tag}"),
        }
    }

    /// The same dimension of a charge, whose currency is another than that of the cost.
    pub(crate) fn of_charge(&mut self) {
        if matches!(self, Self::Column(column) if column.name == CURRENCY_OF_CHARGE.name) {
            *self = Self::Column(&CURRENCY_OF_CHARGE);
        }
    }

    /// Which sources keep it.
    pub(crate) fn kept(&self) -> Kept {
        match self {
            Self::Column(column) => column.kept,
            Self::Tag(_) => Kept::InEntries,
        }
    }

    /// Its value as SQL.
    pub(crate) fn expression(&self, values: &mut Values) -> String {
        match self {
            Self::Column(column) if column.name == INVOICE => invoice_of_entry_sql(),
            Self::Column(column) => column.expression.to_owned(),
            Self::Tag(tag) => format!("tags[{}]", values.bind_text(tag)),
        }
    }
}

/// Names of all dimensions, as an error lists them.
pub(crate) fn names() -> impl Iterator<Item = String> {
    COLUMNS.iter().map(|column| column.name.to_owned()).chain([format!("{TAG}<name>")])
}

/// What a parameter's name ends with where its values are the ones to leave out: `team!=search`.
const NOT: char = '!';

/// The values that a dimension may have; any of them, where there are several. `*` stands for any text. Negated,
/// the values that it may not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) dimension: Dimension,
    is_negated: bool,
    values: Vec<String>,
}

impl Filter {
    /// Takes every parameter that names a dimension.
    pub(crate) fn take_all(parameters: &mut Parameters) -> Result<Vec<Self>, Problem> {
        let mut names: Vec<String> = parameters
            .names()
            .filter(|name| {
                let dimension = name.strip_suffix(NOT).unwrap_or(name);
                dimension.starts_with(TAG) || COLUMNS.iter().any(|column| column.name == dimension)
            })
            .map(str::to_owned)
            .collect();
        names.sort_unstable();
        names.dedup();
        names.into_iter().map(|name| Self::take(&name, parameters)).collect()
    }

    fn take(name: &str, parameters: &mut Parameters) -> Result<Self, Problem> {
        let negated = name.strip_suffix(NOT);
        let dimension = Dimension::parse(name, negated.unwrap_or(name))?;
        let values = parameters.all(name);
        if values.len() > FILTER_VALUES_MAX {
            return Err(Problem::parameter(
                name,
                format!("`{name}` names more than {FILTER_VALUES_MAX} values"),
            ));
        }
        Ok(Self { dimension, is_negated: negated.is_some(), values })
    }

    /// Adds the filter to the conditions; a filter of lines is [`Filter::lines_sql`] instead.
    pub(crate) fn add_to(&self, conditions: &mut Conditions) {
        if self.dimension.kept() == Kept::InLines {
            return;
        }
        let expression = self.dimension.expression(&mut conditions.values);
        let sql = self.sql(&expression, &mut conditions.values);
        conditions.and(sql);
    }

    /// The filter over the unit of a line.
    pub(crate) fn lines_sql(&self, values: &mut Values) -> String {
        self.sql("line.1", values)
    }

    fn sql(&self, expression: &str, values: &mut Values) -> String {
        let (patterns, exact): (Vec<String>, Vec<String>) =
            self.values.iter().cloned().partition(|value| value.contains('*'));
        let mut terms = Vec::new();
        if !exact.is_empty() {
            terms.push(format!("{expression} IN {}", values.bind_texts(&exact)));
        }
        for pattern in patterns {
            terms.push(format!("{expression} LIKE {}", values.bind_text(&like(&pattern))));
        }
        let not = if self.is_negated { "NOT " } else { "" };
        format!("{not}({})", terms.join(" OR "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bounds::Bounds;
    use schemas::caller::Caller;

    fn conditions() -> Conditions {
        Conditions::of(&Bounds::of(&Caller {
            token_id: String::new(),
            scopes: Vec::new(),
            customers: Vec::new(),
            teams: Vec::new(),
        }))
    }

    fn filters(query: &str) -> Result<Vec<Filter>, Problem> {
        let mut parameters = Parameters::parse(&format!("/x?{query}").parse().unwrap()).unwrap();
        let filters = Filter::take_all(&mut parameters)?;
        parameters.finish(names())?;
        Ok(filters)
    }

    #[test]
    fn values_of_one_dimension_are_alternatives_and_a_star_is_any_text() {
        let mut conditions = conditions();
        for filter in filters("model=gpt-*&model=o3&team=a&team=b").unwrap() {
            filter.add_to(&mut conditions);
        }
        assert_eq!(
            conditions.sql(),
            "(model IN {v0:Array(String)} OR model LIKE {v1:String}) AND (team IN {v2:Array(String)})"
        );
        assert_eq!(like("100%_a\\*"), "100\\%\\_a\\\\%");
    }

    #[test]
    fn a_name_that_ends_with_an_exclamation_mark_leaves_its_values_out() {
        let mut conditions = conditions();
        for filter in filters("team!=a&team!=b&model=gpt-*&model!=gpt-4*&tag:env!=dev").unwrap() {
            filter.add_to(&mut conditions);
        }
        assert_eq!(
            conditions.sql(),
            "(model LIKE {v0:String}) AND NOT (model LIKE {v1:String}) \
             AND NOT (tags[{v2:String}] IN {v3:Array(String)}) AND NOT (team IN {v4:Array(String)})"
        );
        assert!(filters("colour!=x").is_err());
    }

    #[test]
    fn a_tag_is_bound_and_never_part_of_the_query() {
        let mut conditions = conditions();
        for filter in filters("tag:a')%20OR%201=1").unwrap() {
            filter.add_to(&mut conditions);
        }
        assert_eq!(conditions.sql(), "(tags[{v0:String}] IN {v1:Array(String)})");
    }

    #[test]
    fn an_unknown_dimension_is_refused_with_all_names() {
        let problem = Dimension::parse("group_by", "teams").unwrap_err();
        assert_eq!(problem.parameter.as_deref(), Some("group_by"));
        assert!(problem.allowed.contains(&"tag:<name>".to_owned()));
        assert!(filters("tag:=x").is_err());
        assert!(filters("colour=x").is_err());
    }
}
