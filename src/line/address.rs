//! Which addresses a provider may have, and the resolver that lets no other through. What it lets through is what is
//! dialed: a name that tells another address a moment later changes nothing. Never connects.

use std::{
    error::Error,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Where clouds tell a machine its own secrets, as far as that is no link-local address: Alibaba, Azure, Oracle.
const METADATA: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
/// The same of AWS and of Google.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Whether no provider may live there. Loopback and the cluster's own ranges are fine: a provider is named by whoever
/// configures the operator, never by a rollout.
pub fn is_refused(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_refused_v4(v4),
        IpAddr::V6(v6) => {
            let inner = v6.to_ipv4_mapped().or_else(|| behind_nat64(v6));
            let own = v6.is_unspecified() || v6.is_multicast() || v6.is_unicast_link_local();
            own || METADATA_V6.contains(&v6) || inner.is_some_and(is_refused_v4)
        }
    }
}

fn is_refused_v4(v4: Ipv4Addr) -> bool {
    let odd = v4.octets()[0] == 0 || v4.is_broadcast() || v4.is_multicast();
    odd || v4.is_link_local() || METADATA.contains(&v4)
}

/// `64:ff9b::/96` is the old internet seen from the new one.
fn behind_nat64(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let [0x64, 0xff9b, 0, 0, 0, 0, high, low] = v6.segments() else { return None };
    Some(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)))
}

/// A name leads to no address but refused ones.
#[derive(Debug)]
pub(super) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no address that may be asked")
    }
}

impl Error for Refused {}

/// The system's resolver without the refused addresses.
#[derive(Debug)]
pub(super) struct Resolver {
    /// The host that is dialed, whatever name its certificate bears.
    pub(super) host: String,
}

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.host.clone();
        Box::pin(async move {
            let all = tokio::net::lookup_host((host.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> = all.filter(|address| !is_refused(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::is_refused;

    #[test]
    fn nobody_is_asked_where_a_machine_keeps_its_secrets() {
        for address in [
            "169.254.169.254",
            "169.254.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
        ] {
            assert!(is_refused(address.parse::<IpAddr>().unwrap()), "{address}");
        }
        for address in ["127.0.0.1", "::1", "10.96.0.10", "100.64.0.1", "192.168.1.1", "fd00::1", "64:ff9b::a00:1"] {
            assert!(!is_refused(address.parse::<IpAddr>().unwrap()), "{address}");
        }
    }
}
