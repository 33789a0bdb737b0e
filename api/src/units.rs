//! The units that have columns of their own in the ledger, beside the open rest in arrays.

use std::collections::BTreeMap;

/// The units with fixed columns, in the order in which the queries list them.
pub(crate) const FIXED: [&str; 7] = [
    "input_uncached_tokens",
    "input_cache_read_tokens",
    "input_cache_write_tokens",
    "input_cache_write_5m_tokens",
    "input_cache_write_1h_tokens",
    "output_text_tokens",
    "output_reasoning_tokens",
];

/// The column of a fixed unit's price: the unit's name with `price` for `tokens`.
pub(crate) fn price_column(unit: &str) -> String {
    format!("{}_price", unit.strip_suffix("_tokens").unwrap_or(unit))
}

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

    #[test]
    fn a_fixed_units_price_has_the_units_name() {
        assert_eq!(price_column("input_cache_write_5m_tokens"), "input_cache_write_5m_price");
    }
}
