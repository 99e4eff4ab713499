//! Figures as bars: where each bar stands and how high it is, in the units of the picture, and where it leads.

use chancery_model::Timestamp;
use chancery_model::certificate::CertificateStatus;

use crate::inventory::{InventoryQuery, date};
use crate::text::grouped;

const DAY_SECONDS: i64 = 86_400;
/// Size of a picture, in its own units.
const WIDTH: u64 = 720;
const HEIGHT: u64 = 120;

/// A row of bars over time.
pub(crate) struct Bars {
    pub bars: Vec<Bar>,
    /// The highest count.
    pub most: u64,
    pub total: u64,
    /// Under the first bar and under the last.
    pub from: String,
    pub to: String,
}

pub(crate) struct Bar {
    pub x: u64,
    pub y: u64,
    pub width: u64,
    pub height: u64,
    pub count: u64,
    /// What the bar stands for.
    pub label: String,
    pub href: String,
    /// The bar of the nearest weeks, which are looked at first.
    pub is_near: bool,
}

/// One horizontal bar.
pub(super) struct Share {
    pub name: String,
    pub count: u64,
    pub href: String,
    /// Of the longest bar, in per cent, at least 1.
    pub percent: u64,
}

impl Share {
    /// So many are shown; the rest is in the inventory.
    pub const MOST: usize = 8;

    pub fn new(name: String, count: u64, href: String) -> Self {
        Self { name, count, href, percent: 0 }
    }

    /// The same, with the largest as the measure.
    pub fn scaled(mut shares: Vec<Self>) -> Vec<Self> {
        let most = shares.iter().map(|it| it.count).max().unwrap_or(1).max(1);
        for share in &mut shares {
            share.percent = (share.count.saturating_mul(100) / most).max(1);
        }
        shares
    }
}

/// The coming year by weeks.
pub(super) fn expiry(by_day: &[(i64, u64)], now: Timestamp) -> Bars {
    const WEEKS: i64 = 53;
    let today = now.as_seconds().div_euclid(DAY_SECONDS);
    let spans = (0..WEEKS).map(|week| (today + week * 7, today + week * 7 + 6));
    // What was revoked is not counted, and so not listed.
    let status = vec![CertificateStatus::Active];
    let query = |from, to| InventoryQuery {
        from: Some(from),
        to: Some(to),
        status: status.clone(),
        ..InventoryQuery::default()
    };
    bars(by_day, spans.collect(), |index, from, to| (query(from, to).href(), index < 5))
}

/// The last 90 days.
pub(super) fn issuance(by_day: &[(i64, u64)], now: Timestamp) -> Bars {
    const DAYS: i64 = 90;
    let today = now.as_seconds().div_euclid(DAY_SECONDS);
    let spans = (0..DAYS).map(|day| (today - DAYS + 1 + day, today - DAYS + 1 + day));
    let query = |from, to| InventoryQuery { issued_from: Some(from), issued_to: Some(to), ..InventoryQuery::default() };
    bars(by_day, spans.collect(), |_, from, to| (query(from, to).href(), false))
}

/// The coming 90 days of renewals; a day leads to what is due then.
pub(crate) fn renewals(by_day: &[(i64, u64)], now: Timestamp) -> Bars {
    const DAYS: i64 = 90;
    let today = now.as_seconds().div_euclid(DAY_SECONDS);
    let spans = (0..DAYS).map(|day| (today + day, today + day));
    bars(by_day, spans.collect(), |_, from, _| (format!("/ui/renewals?day={}#day", date(from)), false))
}

fn bars(by_day: &[(i64, u64)], spans: Vec<(i64, i64)>, leads: impl Fn(usize, i64, i64) -> (String, bool)) -> Bars {
    let count = |from: i64, to: i64| -> u64 {
        by_day.iter().filter(|(day, _)| (from..=to).contains(day)).map(|(_, count)| *count).sum()
    };
    let counts: Vec<u64> = spans.iter().map(|(from, to)| count(*from, *to)).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    let step = WIDTH / u64::try_from(spans.len()).unwrap_or(1).max(1);
    let mut bars = Vec::with_capacity(spans.len());
    for (index, ((from, to), count)) in spans.iter().zip(&counts).enumerate() {
        // Something is seen of the smallest; nothing is seen of none.
        let height = if *count == 0 { 0 } else { (count.saturating_mul(HEIGHT) / most.max(1)).max(3) };
        let (href, is_near) = leads(index, *from, *to);
        let days = if from == to { date(*from) } else { format!("{} to {}", date(*from), date(*to)) };
        bars.push(Bar {
            x: u64::try_from(index).unwrap_or(0) * step,
            y: HEIGHT - height,
            width: step.saturating_sub(2).max(1),
            height,
            count: *count,
            label: format!("{days}: {}", grouped(*count)),
            href,
            is_near,
        });
    }
    let edge = |span: Option<&(i64, i64)>| span.map_or_else(String::new, |(from, _)| date(*from));
    Bars { most, total: counts.iter().sum(), from: edge(spans.first()), to: edge(spans.last()), bars }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_gathered_into_weeks_and_none_is_lost() {
        let now = Timestamp::from_seconds(100 * DAY_SECONDS + 5);
        let found = expiry(&[(100, 1), (106, 2), (107, 4), (100 + 366, 8)], now);
        assert_eq!(found.bars.len(), 53);
        let counts: Vec<u64> = found.bars.iter().map(|it| it.count).collect();
        assert_eq!((counts[0], counts[1], counts[52]), (3, 4, 8));
        assert_eq!((found.total, found.most), (15, 8));
        assert_eq!(found.bars[52].height, HEIGHT);
        assert_eq!(found.bars[2].height, 0);
        assert!(found.bars[0].label.starts_with("1970-04-11 to 1970-04-17: 3"), "{}", found.bars[0].label);
    }

    #[test]
    fn shares_are_measured_by_the_largest() {
        let share = |count| Share::new(String::new(), count, String::new());
        let scaled = Share::scaled(vec![share(200), share(50), share(1)]);
        assert_eq!(scaled.iter().map(|it| it.percent).collect::<Vec<_>>(), [100, 25, 1]);
        assert!(Share::scaled(Vec::new()).is_empty());
    }
}
