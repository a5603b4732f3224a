//! Links, addresses and routes of the calling thread's network namespace.
//!
//! A blocking face for `rtnetlink`. A [`Netlink`] belongs to the namespace in
//! which it was opened; it must not be used from inside an async runtime, which
//! [`super::netns::within`] guarantees by running it on a thread of its own.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;

use futures::TryStreamExt as _;
use rtnetlink::packet_route::address::AddressAttribute;
use rtnetlink::packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder};

use super::cidr::Cidr;
use crate::{Error, Result};

/// Number of the table of this machine's own addresses (`RT_TABLE_LOCAL`).
const LOCAL_TABLE: u8 = 255;

/// A link, with what we ask about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) index: u32,
    pub(super) name: String,
    pub(super) alias: Option<String>,
    pub(super) is_bridge: bool,
}

/// A connection to the kernel's routing netlink.
pub(super) struct Netlink {
    runtime: tokio::runtime::Runtime,
    handle: Handle,
}

impl Netlink {
    pub(super) fn open() -> Result<Self> {
        let failed = |source| Error::System { action: "open a netlink socket".to_owned(), source };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(failed)?;
        let handle = runtime.block_on(async {
            let (connection, handle, _) = rtnetlink::new_connection()?;
            // Ends with the runtime, which this value owns.
            tokio::spawn(connection);
            Ok(handle)
        });
        Ok(Self { handle: handle.map_err(failed)?, runtime })
    }

    pub(super) fn links(&self) -> Result<Vec<Link>> {
        let links = self.runtime.block_on(self.handle.link().get().execute().try_collect::<Vec<_>>());
        Ok(links.map_err(Error::netlink("list links"))?.into_iter().map(read_link).collect())
    }

    pub(super) fn link(&self, name: &str) -> Result<Option<Link>> {
        Ok(self.links()?.into_iter().find(|link| link.name == name))
    }

    pub(super) fn add_bridge(&self, name: &str, mac: [u8; 6], alias: &str) -> Result<Link> {
        let message = LinkBridge::new(name).address(mac.to_vec()).alias(alias).up().build();
        self.add_link(message, name)?;
        let link = self.required(name)?;
        // Kernels ignore an alias at creation; set it by itself.
        let message = LinkUnspec::new_with_index(link.index).alias(alias).build();
        self.run(format!("name the owner of {name}"), self.handle.link().set(message).execute())?;
        Ok(link)
    }

    /// A veth pair: `name` here on a bridge, `eth0` in `namespace`.
    pub(super) fn add_veth(&self, name: &str, bridge: &Link, namespace: &File) -> Result<()> {
        let peer = LinkMessageBuilder::<LinkUnspec>::new().name("eth0").setns_by_fd(namespace.as_raw_fd()).build();
        let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
            .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
            .name(name)
            .controller(bridge.index)
            .up()
            .build();
        self.add_link(message, name)
    }

    pub(super) fn attach(&self, link: &Link, bridge: &Link) -> Result<()> {
        let message = LinkUnspec::new_with_index(link.index).controller(bridge.index).up().build();
        self.run(format!("attach {} to {}", link.name, bridge.name), self.handle.link().set(message).execute())
    }

    pub(super) fn set_up(&self, link: &Link) -> Result<()> {
        let message = LinkUnspec::new_with_index(link.index).up().build();
        self.run(format!("bring {} up", link.name), self.handle.link().set(message).execute())
    }

    pub(super) fn delete_link(&self, link: &Link) -> Result<()> {
        self.run(format!("delete link {}", link.name), self.handle.link().del(link.index).execute())
    }

    pub(super) fn required(&self, name: &str) -> Result<Link> {
        self.link(name)?.ok_or_else(|| Error::refused(format!("network interface {name} disappeared: try again")))
    }

    pub(super) fn set_address(&self, link: &Link, address: Ipv4Addr, prefix: u8) -> Result<()> {
        let request = self.handle.address().add(link.index, IpAddr::V4(address), prefix).replace();
        self.run(format!("give {} the address {address}/{prefix}", link.name), request.execute())
    }

    /// Sets a route; it replaces one to the same destination.
    pub(super) fn set_route(&self, destination: Option<Cidr>, gateway: Ipv4Addr) -> Result<()> {
        let mut builder = RouteMessageBuilder::<Ipv4Addr>::new().gateway(gateway);
        if let Some(cidr) = destination {
            builder = builder.destination_prefix(cidr.base(), cidr.prefix());
        }
        let name = destination.map_or_else(|| "default".to_owned(), |cidr| cidr.to_string());
        let request = self.handle.route().add(builder.build()).replace();
        self.run(format!("set the route {name} via {gateway}"), request.execute())
    }

    /// Networks that addresses and routes of any table use; the default route aside.
    pub(super) fn used_networks(&self) -> Result<Vec<Cidr>> {
        let addresses = self.runtime.block_on(self.handle.address().get().execute().try_collect::<Vec<_>>());
        let query = RouteMessageBuilder::<Ipv4Addr>::new().build();
        let routes = self.runtime.block_on(self.handle.route().get(query).execute().try_collect::<Vec<_>>());
        let mut used: Vec<Cidr> =
            routes.map_err(Error::netlink("list routes"))?.iter().filter_map(route_target).collect();
        for address in addresses.map_err(Error::netlink("list addresses"))? {
            let prefix = address.header.prefix_len;
            used.extend(address.attributes.iter().filter_map(|attribute| match attribute {
                AddressAttribute::Address(IpAddr::V4(ip)) => Some(Cidr::containing(*ip, prefix)),
                _ => None,
            }));
        }
        used.sort();
        used.dedup();
        Ok(used)
    }

    fn add_link(&self, message: LinkMessage, name: &str) -> Result<()> {
        self.run(format!("create link {name}"), self.handle.link().add(message).execute())
    }

    fn run(&self, action: String, request: impl Future<Output = Result<(), rtnetlink::Error>>) -> Result<()> {
        self.runtime.block_on(request).map_err(Error::netlink(action))
    }
}

fn read_link(message: LinkMessage) -> Link {
    let mut link = Link { index: message.header.index, ..Link::default() };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::IfAlias(alias) => link.alias = Some(alias),
            LinkAttribute::LinkInfo(infos) => {
                link.is_bridge = infos.iter().any(|info| matches!(info, LinkInfo::Kind(InfoKind::Bridge)));
            }
            _ => {}
        }
    }
    link
}

/// Destination of a route that takes traffic away from the default route.
fn route_target(route: &RouteMessage) -> Option<Cidr> {
    let header = &route.header;
    let own_table = header.table == LOCAL_TABLE;
    let kinds = [RouteType::Broadcast, RouteType::Multicast, RouteType::Local, RouteType::Anycast];
    if header.destination_prefix_length == 0 || own_table || kinds.contains(&header.kind) {
        return None;
    }
    route.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Destination(RouteAddress::Inet(ip)) => {
            Some(Cidr::containing(*ip, header.destination_prefix_length))
        }
        _ => None,
    })
}
