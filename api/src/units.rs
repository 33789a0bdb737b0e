//! The units that have columns of their own in the ledger, beside the open rest in arrays.

use std::collections::BTreeMap;

use ledger::unit::Unit;

/// The names of the units with fixed columns, in the order in which the queries list them.
pub(crate) const FIXED: [&str; Unit::FIXED.len()] = {
    let [a, b, c, d, e, f, g] = Unit::FIXED;
    [a.name(), b.name(), c.name(), d.name(), e.name(), f.name(), g.name()]
};

/// The names of the fixed units as an SQL array.
pub(crate) fn fixed_sql() -> String {
    format!("['{}']", FIXED.join("', '"))
}

/// Quantities by unit; what is zero is left out.
pub(crate) fn by_name(units: Vec<String>, quantities: Vec<String>) -> BTreeMap<String, String> {
    units.into_iter().zip(quantities).filter(|(_, quantity)| quantity != "0").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_listed_by_name_and_zero_is_left_out() {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let quantities = by_name(texts(&["seconds", "images", "tokens"]), texts(&["1.5", "0", "-2"]));
        let shown: Vec<String> =
            quantities.iter().map(|(unit, quantity)| format!("{unit}={quantity}")).collect();
        assert_eq!(shown, ["seconds=1.5", "tokens=-2"]);
    }
}
