//! One thread, one map from ad to campaign and one table of counts: views of ads by campaign.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, mix};

/// The length of a window: ten seconds.
pub const WINDOW_NS: i64 = 10_000_000_000;

/// Ads of a campaign.
const ADS_EACH: u64 = 10;

/// What somebody did with an ad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Saw it.
    View,
    /// Clicked on it.
    Click,
    /// Bought what it showed.
    Purchase,
}

/// One thing that happened. As many words as the original's lines have fields, but for text.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// To whom.
    pub user: u64,
    /// On which page.
    pub page: u64,
    /// Which ad, of any number.
    pub ad: u64,
    /// What was done.
    pub action: Action,
}

/// The number by which everybody knows an ad.
const fn ad(index: u64) -> u64 {
    mix(index ^ 0xad)
}

/// The table that does not change: of each ad its campaign.
pub fn campaigns(campaigns: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..campaigns * ADS_EACH).map(|index| (ad(index), index / ADS_EACH))
}

/// What happens as number `index`: any of a campaign's ads, any action, each as likely.
#[inline(always)]
pub const fn shown(index: u64, campaigns: u64) -> Shown {
    let bits = mix(index);
    let which = ((bits >> 32) * campaigns * ADS_EACH) >> 32;
    let action = match bits as u32 % 3 {
        0 => Action::View,
        1 => Action::Click,
        _ => Action::Purchase,
    };
    Shown { user: bits >> 40, page: bits >> 16 & 0xffff, ad: ad(which), action }
}

/// Counts the views of each campaign by window, in order of time.
pub fn views(records: u64, of: u64) -> Checksum {
    let (mut checksum, mut open) = (Checksum::default(), vec![0u64; of as usize]);
    let table: HashMap<u64, u64> = campaigns(of).collect();
    let mut end = WINDOW_NS;
    for index in 0..records {
        if index as i64 * PERIOD_NS >= end {
            close(&mut open, end, &mut checksum);
            end += WINDOW_NS;
        }
        let shown = shown(index, of);
        if shown.action != Action::View {
            continue;
        }
        if let Some(campaign) = table.get(&shown.ad) {
            open[*campaign as usize] += 1;
        }
    }
    close(&mut open, end, &mut checksum);
    checksum
}

fn close(open: &mut [u64], end: i64, checksum: &mut Checksum) {
    for (campaign, count) in open.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
        checksum.add(campaign as u64, end, std::mem::take(count), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_all_is_seen_and_all_of_it_has_a_campaign() {
        let table: HashMap<u64, u64> = campaigns(100).collect();
        assert_eq!(table.len(), 1_000, "no two ads have one number");
        let all = (0..30_000).map(|index| shown(index, 100));
        let views: Vec<_> = all.filter(|it| it.action == Action::View).collect();
        assert!((9_500..10_500).contains(&views.len()), "{}", views.len());
        assert!(views.iter().all(|it| table.contains_key(&it.ad)));
        assert_eq!(super::views(30_000, 100).results, 100);
    }
}
