//! Sources that were barred since a core looked last.
//!
//! A swarm is barred by the thousand within moments, and a core has connections by the
//! thousand: one pass over them serves all, and each costs a search by halves. Pure.

use std::net::IpAddr;

use vocab::Cidr;

/// A set of ranges, to ask for addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Sources {
    v4: Spans<u32>,
    v6: Spans<u128>,
}

/// Firsts and lasts, ascending, none within another.
type Spans<N> = Vec<(N, N)>;

impl Sources {
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(four) => covers(&self.v4, four.to_bits()),
            IpAddr::V6(six) => covers(&self.v6, six.to_bits()),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

impl FromIterator<Cidr> for Sources {
    fn from_iter<I: IntoIterator<Item = Cidr>>(ranges: I) -> Self {
        let mut sources = Self::default();
        for range in ranges {
            let prefix = u32::from(range.prefix());
            match range.address() {
                IpAddr::V4(four) => {
                    let first = four.to_bits();
                    let last = first | u32::MAX.checked_shr(prefix).unwrap_or(0);
                    sources.v4.push((first, last));
                }
                IpAddr::V6(six) => {
                    let first = six.to_bits();
                    let last = first | u128::MAX.checked_shr(prefix).unwrap_or(0);
                    sources.v6.push((first, last));
                }
            }
        }
        outermost(&mut sources.v4);
        outermost(&mut sources.v6);
        sources
    }
}

/// Drops what lies within another: ranges of addresses overlap in no other way.
fn outermost<N: Ord + Copy>(spans: &mut Spans<N>) {
    spans.sort_unstable_by_key(|(first, last)| (*first, core::cmp::Reverse(*last)));
    spans.dedup_by(|inner, outer| inner.1 <= outer.1);
}

fn covers<N: Ord + Copy>(spans: &Spans<N>, address: N) -> bool {
    let after = spans.partition_point(|(first, _)| *first <= address);
    let nearest = after.checked_sub(1).and_then(|at| spans.get(at));
    nearest.is_some_and(|(_, last)| address <= *last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_say_what_each_range_says() {
        let texts = [
            "192.0.2.0/24",
            "192.0.2.7/32",
            "192.0.2.128/25",
            "198.51.100.9/32",
            "198.51.100.10/31",
            "203.0.113.255/32",
            "255.255.255.255/32",
            "2001:db8::/64",
            "2001:db8::5/128",
            "2001:db8:0:1::/64",
            "2001:db8:ffff::/48",
        ];
        let ranges: Vec<Cidr> = texts.map(|text| text.parse().unwrap()).into();
        let wide: Vec<Cidr> = ["0.0.0.0/0", "::/0"]
            .map(|text| text.parse().unwrap())
            .into();
        let asked: Vec<IpAddr> = ranges
            .iter()
            .flat_map(|range| around(range.address()))
            .chain([
                "192.0.2.127".parse().unwrap(),
                "192.0.2.255".parse().unwrap(),
                "192.0.3.0".parse().unwrap(),
                "2001:db8::ffff:ffff:ffff:ffff".parse().unwrap(),
                "2001:db8:0:2::".parse().unwrap(),
                "::ffff:192.0.2.7".parse().unwrap(),
            ])
            .collect();
        for some in [
            &ranges[..],
            &ranges[3..6],
            &ranges[..1],
            &[],
            &wide[..1],
            &wide[..],
        ] {
            let sources: Sources = some.iter().rev().copied().collect();
            assert_eq!(sources.is_empty(), some.is_empty());
            for address in &asked {
                let plain = some.iter().any(|range| range.contains(*address));
                assert_eq!(sources.contains(*address), plain, "{address} in {some:?}");
            }
        }
    }

    /// An address and those beside it.
    fn around(address: IpAddr) -> [IpAddr; 3] {
        match address {
            IpAddr::V4(four) => {
                let bits = four.to_bits();
                [bits.wrapping_sub(1), bits, bits.wrapping_add(1)]
                    .map(|bits| IpAddr::V4(bits.into()))
            }
            IpAddr::V6(six) => {
                let bits = six.to_bits();
                [bits.wrapping_sub(1), bits, bits.wrapping_add(1)]
                    .map(|bits| IpAddr::V6(bits.into()))
            }
        }
    }
}
