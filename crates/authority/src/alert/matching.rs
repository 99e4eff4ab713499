//! Which certificates an alert is about.

use chancery_model::alert::{AlertFilter, FilterField, FilterOperator, FilterValue};

/// What filters look at.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub common_name: &'a str,
    pub sans: Vec<&'a str>,
    /// Absent for CAs and for what was made without a profile.
    pub profile_name: Option<&'a str>,
}

/// Whether CA certificates count.
pub(super) fn includes_cas(filters: &[AlertFilter]) -> bool {
    filters.iter().any(|it| it.field == FilterField::IncludeCas && it.value == FilterValue::Flag(true))
}

/// All filters must hold; of several values one is enough, and of several SANs one.
pub(super) fn matches(filters: &[AlertFilter], candidate: &Candidate<'_>) -> bool {
    filters.iter().all(|filter| {
        let holds = |text: &str| one_of(filter.operator, text, &filter.value);
        match filter.field {
            FilterField::ProfileName => candidate.profile_name.is_some_and(holds),
            FilterField::CommonName => holds(candidate.common_name),
            FilterField::San => candidate.sans.iter().copied().any(holds),
            FilterField::IncludeCas => true,
        }
    })
}

fn one_of(operator: FilterOperator, text: &str, value: &FilterValue) -> bool {
    match value {
        FilterValue::Flag(_) => false,
        FilterValue::Text(wanted) => holds(operator, text, wanted),
        FilterValue::List(wanted) => wanted.iter().any(|wanted| holds(operator, text, wanted)),
    }
}

fn holds(operator: FilterOperator, text: &str, wanted: &str) -> bool {
    let (text, wanted) = (text.to_lowercase(), wanted.to_lowercase());
    match operator {
        FilterOperator::Equals => text == wanted,
        FilterOperator::Matches => glob(&wanted.chars().collect::<Vec<_>>(), &text.chars().collect::<Vec<_>>()),
        FilterOperator::Contains => text.contains(&wanted),
        FilterOperator::StartsWith => text.starts_with(&wanted),
        FilterOperator::EndsWith => text.ends_with(&wanted),
    }
}

/// `*` is any run of characters, `?` any one. Goes back to the last star only, so it takes at most |pattern| × |text|
/// steps whatever the pattern.
fn glob(pattern: &[char], text: &[char]) -> bool {
    let (mut at, mut here) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(letter) = text.get(here) {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(wanted) if *wanted == '?' || wanted == letter => {
                at += 1;
                here += 1;
            }
            _ => match star {
                // The star takes one letter more, and the rest is tried again behind it.
                Some((starred, taken)) => {
                    star = Some((starred, taken + 1));
                    at = starred + 1;
                    here = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).is_none_or(|rest| rest.iter().all(|it| *it == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(field: FilterField, operator: FilterOperator, value: FilterValue) -> AlertFilter {
        AlertFilter { field, operator, value }
    }

    fn text(value: &str) -> FilterValue {
        FilterValue::Text(value.to_owned())
    }

    #[test]
    fn each_operator_compares_as_it_says() {
        use FilterOperator::{Contains, EndsWith, Equals, Matches, StartsWith};
        for (operator, value, name, expected) in [
            (Equals, "www.acme.com", "WWW.acme.com", true),
            (Equals, "www.acme.com", "www.acme.com.evil", false),
            (Equals, "", "", true),
            (Matches, "*.acme.com", "a.b.acme.com", true),
            (Matches, "*.acme.com", "acme.com", false),
            (Matches, "w?w.*", "www.acme.com", true),
            (Matches, "w?w.*", "ww.acme.com", false),
            (Matches, "*", "", true),
            (Matches, "", "a", false),
            (Matches, "www", "www2", false),
            (Matches, "a.c", "abc", false),
            (Matches, "*a*b*c", "xxaxxbxxc", true),
            (Matches, "*a*b*c", "xxaxxbxx", false),
            (Matches, "*ü?", "gRÜN", true),
            (Contains, "acme", "www.ACME.com", true),
            (Contains, "acme", "www.ac-me.com", false),
            (StartsWith, "www.", "www.acme.com", true),
            (StartsWith, "acme", "www.acme.com", false),
            (EndsWith, ".com", "www.acme.com", true),
            (EndsWith, ".com", "www.acme.com.", false),
        ] {
            assert_eq!(holds(operator, name, value), expected, "{operator:?} {value:?} on {name:?}");
        }
    }

    #[test]
    fn hostile_patterns_end_soon() {
        let pattern = format!("{}b", "*a".repeat(120));
        let name = "a".repeat(5_000);
        assert!(!holds(FilterOperator::Matches, &name, &pattern));
    }

    #[test]
    fn all_filters_must_hold_and_one_value_of_each() {
        use FilterField::{CommonName, IncludeCas, ProfileName, San};
        use FilterOperator::{EndsWith, Equals};
        let candidate = Candidate {
            common_name: "www.acme.com",
            sans: vec!["www.acme.com", "10.0.0.1"],
            profile_name: Some("web"),
        };
        let list = |values: &[&str]| FilterValue::List(values.iter().map(|it| (*it).to_owned()).collect());
        for (filters, expected) in [
            (vec![], true),
            (vec![filter(ProfileName, Equals, text("web"))], true),
            (vec![filter(ProfileName, Equals, list(&["mail", "web"]))], true),
            (vec![filter(ProfileName, Equals, list(&[]))], false),
            (vec![filter(San, Equals, text("10.0.0.1"))], true),
            (vec![filter(San, Equals, text("10.0.0.2"))], false),
            (vec![filter(CommonName, EndsWith, text(".acme.com")), filter(ProfileName, Equals, text("mail"))], false),
            (vec![filter(IncludeCas, Equals, FilterValue::Flag(false))], true),
        ] {
            assert_eq!(matches(&filters, &candidate), expected, "{filters:?}");
        }
        let of_ca = Candidate { common_name: "Root", sans: Vec::new(), profile_name: None };
        assert!(!matches(&[filter(ProfileName, FilterOperator::Matches, text("*"))], &of_ca));
        assert!(includes_cas(&[filter(IncludeCas, Equals, FilterValue::Flag(true))]));
        assert!(!includes_cas(&[filter(IncludeCas, Equals, FilterValue::Flag(false))]));
    }
}
