//! The pods' addresses. Only the bookkeeping lives here; never a socket.

use std::{collections::BTreeSet, net::Ipv4Addr};

/// Hosts in 10.244.0.0/16.
const HOSTS: u32 = 1 << 16;

/// Hands out addresses of 10.244.0.0/16 in turn, so that one is used again only after all others.
#[derive(Debug, Default)]
pub(crate) struct Addresses {
    used: BTreeSet<u32>,
    last: u32,
}

impl Addresses {
    /// The next free address; none when all are taken.
    pub(crate) fn take(&mut self) -> Option<Ipv4Addr> {
        for step in 1..=HOSTS {
            let host = (self.last + step) % HOSTS;
            // Network and broadcast addresses look wrong in a log, though AnyIP would carry them.
            if !matches!(host % 256, 0 | 255) && self.used.insert(host) {
                self.last = host;
                return Some(address(host));
            }
        }
        None
    }

    /// Gives an address back.
    pub(crate) fn give_back(&mut self, given: Ipv4Addr) {
        self.used.remove(&host(given));
    }

    /// A pod of an earlier run has this address: begin after it.
    pub(crate) fn seen(&mut self, given: Ipv4Addr) {
        if given.octets()[..2] == [10, 244] {
            self.last = self.last.max(host(given));
        }
    }
}

fn host(given: Ipv4Addr) -> u32 {
    u32::from(given) % HOSTS
}

fn address(host: u32) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(Ipv4Addr::new(10, 244, 0, 0)) + host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_used_again_only_after_all_others() {
        let mut addresses = Addresses::default();
        let first = addresses.take().unwrap();
        assert_eq!(first, Ipv4Addr::new(10, 244, 0, 1));
        addresses.give_back(first);
        assert_eq!(addresses.take().unwrap(), Ipv4Addr::new(10, 244, 0, 2));
    }

    #[test]
    fn no_address_ends_in_zero_or_255_and_all_differ() {
        let mut addresses = Addresses::default();
        let all: BTreeSet<_> = std::iter::from_fn(|| addresses.take()).collect();
        assert_eq!(all.len(), 256 * 254);
        assert!(all.iter().all(|given| !matches!(given.octets()[3], 0 | 255)));
    }

    #[test]
    fn begins_after_the_addresses_of_an_earlier_run() {
        let mut addresses = Addresses::default();
        addresses.seen(Ipv4Addr::new(10, 244, 3, 9));
        addresses.seen(Ipv4Addr::new(172, 31, 0, 1));
        assert_eq!(addresses.take().unwrap(), Ipv4Addr::new(10, 244, 3, 10));
    }
}
